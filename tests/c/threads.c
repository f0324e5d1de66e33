/* POSIX threads: mutexes of each kind, conditions, keys, barriers, read-write locks, cancellation, semaphores. */
#define _GNU_SOURCE
#include "tap.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 20000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static pthread_barrier_t barrier;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t semaphore;
static long counter, spun, passed, initialised, destroyed, serial;

static void *add(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        pthread_spin_lock(&spin);
        spun++;
        pthread_spin_unlock(&spin);
    }
    return unused;
}

static void *consume(void *unused)
{
    for (int i = 0; i < 1000; i++)
        sem_wait(&semaphore);
    __atomic_fetch_add(&passed, 1000, __ATOMIC_SEQ_CST);
    return unused;
}

static void initialise(void) { initialised++; }
static void destroy(void *value) { __atomic_fetch_add(&destroyed, (long)value, __ATOMIC_SEQ_CST); }

static void *meet(void *value)
{
    pthread_once(&once, initialise);
    pthread_setspecific(key, value);
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        __atomic_fetch_add(&serial, 1, __ATOMIC_SEQ_CST);
    return pthread_getspecific(key);
}

static void cleanup(void *flag) { *(int *)flag = 1; }
static int cleaned;

static void *cancelled(void *unused)
{
    pthread_cleanup_push(cleanup, &cleaned);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return unused;
}

static int turn;

static void *answer(void *unused)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 1000; i++) {
        while (turn != 1)
            pthread_cond_wait(&changed, &mutex);
        turn = 0;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return unused;
}

static void *nothing(void *unused) { return unused; }

static volatile sig_atomic_t signalled;
static void on_signal(int number) { signalled = number; }

static void *wait_for_signal(void *unused)
{
    while (!signalled)
        sched_yield();
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_mutexattr_t kind;
    pthread_mutex_t special;
    pthread_attr_t attributes;
    void *result;
    long sum = 0;

    plan(15);
    pthread_spin_init(&spin, 0);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check("mutex", counter == THREADS * ROUNDS);
    check("spin-lock", spun == THREADS * ROUNDS);

    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&special, &kind);
    pthread_mutex_lock(&special);
    check("recursive-mutex", pthread_mutex_lock(&special) == 0 && pthread_mutex_unlock(&special) == 0);
    pthread_mutex_unlock(&special);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&special, &kind);
    pthread_mutex_lock(&special);
    check("checking-mutex", pthread_mutex_lock(&special) == EDEADLK);
    pthread_mutex_unlock(&special);

    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_sec++;
        soon.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    check("timed-wait", pthread_cond_timedwait(&changed, &mutex, &soon) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);

    pthread_create(&threads[0], NULL, answer, NULL);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 1000; i++) {
        turn = 1;
        pthread_cond_broadcast(&changed);
        while (turn != 0)
            pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    pthread_join(threads[0], NULL);
    check("condition", turn == 0);

    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, consume, NULL);
    for (int i = 0; i < 4000; i++)
        sem_post(&semaphore);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check("semaphore", passed == 4000 && sem_trywait(&semaphore) == -1 && errno == EAGAIN);

    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, meet, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    check("keys", sum == THREADS * (THREADS + 1) / 2);
    check("key-destructors", destroyed == sum);
    check("barrier", serial == 1);
    check("once", initialised == 1);

    pthread_rwlock_rdlock(&rwlock);
    check("read-write-lock", pthread_rwlock_tryrdlock(&rwlock) == 0 && pthread_rwlock_trywrlock(&rwlock) == EBUSY);
    pthread_rwlock_unlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);

    pthread_create(&threads[0], NULL, cancelled, NULL);
    pthread_cancel(threads[0]);
    pthread_join(threads[0], &result);
    check("cancellation", result == PTHREAD_CANCELED);

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    int good = 1;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        good &= pthread_create(&thread, &attributes, nothing, NULL) == 0;
    }
    check("detached-threads", good);

    signal(SIGUSR1, on_signal);
    pthread_create(&threads[0], NULL, wait_for_signal, NULL);
    pthread_kill(threads[0], SIGUSR1);
    pthread_join(threads[0], NULL);
    check("signal-to-a-thread", signalled == SIGUSR1);
    return done();
}
