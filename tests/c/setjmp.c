/* Jumps and contexts: setjmp, sigsetjmp out of handlers, makecontext. */
#define _GNU_SOURCE
#include "tap.h"
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static jmp_buf plain;
static sigjmp_buf with_mask;

static int deep(int n)
{
    volatile char frame[100];

    memset((char *)frame, n, sizeof frame);
    if (n == 0)
        longjmp(plain, 42);
    return n > 0 ? deep(n - 1) + frame[n % 100] : 0;
}

static void on_fault(int number)
{
    siglongjmp(with_mask, number);
}

static ucontext_t back, there;
static int visits;

static void visit(int add)
{
    for (;;) {
        visits += add;
        swapcontext(&there, &back);
    }
}

int main(void)
{
    volatile int count = 0;
    sigset_t mask;

    plan(6);
    int value = setjmp(plain);
    if (value == 0)
        deep(50);
    check("out-of-deep-calls", value == 42);

    count = 0;
    if (setjmp(plain) < 100) {
        count++;
        if (count < 100)
            longjmp(plain, count);
    }
    check("a-hundred-times", count == 100);

    signal(SIGSEGV, on_fault);
    volatile int *nowhere = NULL;
    for (count = 0; count < 50; count++) {
        if (sigsetjmp(with_mask, 1) == 0)
            *nowhere = 1;
    }
    check("out-of-a-fault-handler", count == 50);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    check("the-mask-comes-back", !sigismember(&mask, SIGSEGV));

    signal(SIGFPE, on_fault);
    volatile int zero = 0;
    if (sigsetjmp(with_mask, 1) == 0)
        count = count / zero;
    check("out-of-a-division", count == 50);

    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = 65536;
    there.uc_link = &back;
    makecontext(&there, (void (*)(void))visit, 1, 3);
    for (int i = 0; i < 10; i++)
        swapcontext(&back, &there);
    check("switching-contexts", visits == 30);
    return done();
}
