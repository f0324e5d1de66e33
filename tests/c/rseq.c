/* Restartable sequences as the C library has them: each thread's record is registered, and sched_getcpu reads it. */
#define _GNU_SOURCE
#include "tap.h"
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __GLIBC_PREREQ(2, 35)
#include <sys/rseq.h>

static struct rseq *record(void)
{
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static int shown(void)
{
    cpu_set_t all, one;
    unsigned cpu;
    int good = sched_getaffinity(0, sizeof all, &all) == 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        good &= sched_setaffinity(0, sizeof one, &one) == 0;
        good &= syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && (int)cpu == i;
        good &= (int)record()->cpu_id == i && (int)record()->cpu_id_start == i && sched_getcpu() == i;
    }
    return good && sched_setaffinity(0, sizeof all, &all) == 0;
}

static void *thread(void *unused)
{
    (void)unused;
    return (void *)(long)shown();
}

int main(void)
{
    pthread_t other;
    void *good = NULL;
    plan(3);
    check("registered", __rseq_size >= 20);
    check("main", shown());
    check("thread", pthread_create(&other, NULL, thread, NULL) == 0 && pthread_join(other, &good) == 0 && good);
    return done();
}
#else
int main(void)
{
    plan(0);
    return done();
}
#endif
