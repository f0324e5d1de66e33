/* The test protocol for C: plan(N), then check("name", condition) for each. */
#ifndef TAP_H
#define TAP_H

#include <stdio.h>
#include <stdlib.h>

static int tap_failed;

static void plan(int tests)
{
    printf("1..%d\n", tests);
    fflush(stdout);
}

#define check(name, condition) check_at(name, (condition) != 0, __LINE__)

static void check_at(const char *name, int good, int line)
{
    if (good) {
        printf("ok %s\n", name);
    } else {
        printf("not ok %s: line %d\n", name, line);
        tap_failed = 1;
    }
    fflush(stdout);
}

static int done(void)
{
    return tap_failed;
}

#endif
