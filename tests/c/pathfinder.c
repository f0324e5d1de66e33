/* What stopped the Mars Pathfinder in 1997, with the C library's mutexes: a low thread holds the mutex that a high one
 * wants, and one between them has much to do. With PTHREAD_PRIO_INHERIT the high one does not wait for the one between;
 * without, it does. One processor, and order instead of times. */
#define _GNU_SOURCE
#include "tap.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { LOW = 10, MIDDLE = 20, HIGH = 30, MASTER = 40 };

static pthread_mutex_t bus;
static sem_t start_middle, start_high, held;
static atomic_int order, middle_at, high_at, low_at;

/* By the CPU time of the thread, so that it is as much whatever runs meanwhile. */
static void compute(long milliseconds)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < milliseconds);
}

static void *meteorology(void *unused)
{
    pthread_mutex_lock(&bus);
    sem_post(&held);
    compute(20);
    pthread_mutex_unlock(&bus);
    low_at = ++order;
    return unused;
}

static void *communication(void *unused)
{
    sem_wait(&start_middle);
    compute(60);
    middle_at = ++order;
    return unused;
}

static void *management(void *unused)
{
    sem_wait(&start_high);
    pthread_mutex_lock(&bus);
    high_at = ++order;
    pthread_mutex_unlock(&bus);
    return unused;
}

static pthread_t start(void *(*life)(void *), int priority)
{
    struct sched_param parameter = { .sched_priority = priority };
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &parameter);
    if (pthread_create(&thread, &attributes, life, NULL) != 0)
        exit(2);
    return thread;
}

/* 1: the high thread came before the one between. */
static int mission(int protocol)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_init(&bus, &attributes);
    order = 0;
    pthread_t high = start(management, HIGH), middle = start(communication, MIDDLE);
    pthread_t low = start(meteorology, LOW);
    sem_wait(&held);
    /* Both begin while the low one is in its critical section; none runs before this thread waits. */
    sem_post(&start_middle);
    sem_post(&start_high);
    pthread_join(high, NULL);
    pthread_join(middle, NULL);
    pthread_join(low, NULL);
    pthread_mutex_destroy(&bus);
    return high_at < middle_at;
}

static void *lock_it(void *mutex)
{
    return (void *)(long)pthread_mutex_lock(mutex);
}

static void *lock_and_end(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static pthread_mutex_t first, second;

static void *other_way(void *unused)
{
    pthread_mutex_lock(&second);
    sem_post(&held);
    sem_wait(&start_high);
    pthread_mutex_unlock(&second);
    return unused;
}

int main(void)
{
    cpu_set_t one;
    struct sched_param parameter = { .sched_priority = MASTER };
    pthread_mutexattr_t attributes;
    pthread_t thread;
    void *result;

    plan(8);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    sem_init(&start_middle, 0, 0);
    sem_init(&start_high, 0, 0);
    sem_init(&held, 0, 0);
    check("real-time", sched_setscheduler(0, SCHED_FIFO, &parameter) == 0);
    check("inversion-without", !mission(PTHREAD_PRIO_NONE));
    check("no-inversion-with", mission(PTHREAD_PRIO_INHERIT));
    check("low-is-last-of-all", low_at == 3);

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&first, &attributes);
    pthread_mutex_lock(&first);
    pthread_create(&thread, NULL, (void *(*)(void *))(void *)pthread_mutex_trylock, &first);
    pthread_join(thread, &result);
    check("try", (int)(long)result == EBUSY && pthread_mutex_lock(&first) == EDEADLK);
    pthread_mutex_unlock(&first);

    struct timespec soon;
    pthread_mutex_init(&second, &attributes);
    pthread_create(&thread, NULL, other_way, NULL);
    sem_wait(&held);
    clock_gettime(CLOCK_REALTIME, &soon);
    check("timed-lock", pthread_mutex_timedlock(&second, &soon) == ETIMEDOUT);
    sem_post(&start_high);
    pthread_join(thread, NULL);
    check("lock-after-that", lock_it(&second) == NULL && pthread_mutex_unlock(&second) == 0);

    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&first, &attributes);
    pthread_create(&thread, NULL, lock_and_end, &first);
    pthread_join(thread, NULL);
    int died = pthread_mutex_lock(&first);
    pthread_mutex_consistent(&first);
    check("robust", died == EOWNERDEAD && pthread_mutex_unlock(&first) == 0 && pthread_mutex_lock(&first) == 0);
    return done();
}
