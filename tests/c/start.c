/* What a C program finds when it starts: arguments, environment, constructors, exit handlers in reverse order. */
#define _GNU_SOURCE
#include "tap.h"
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

static int constructed;
static int zeros[5000];
static int data[4] = {1, 2, 3, 4};
static __thread int local = 7;

__attribute__((constructor)) static void first(void)
{
    constructed++;
}

__attribute__((constructor)) static void second(void)
{
    constructed++;
}

static int pipe_ends[2];

static void say(const char *text)
{
    if (write(pipe_ends[1], text, strlen(text)) < 0)
        _exit(9);
}

static void at_exit_1(void) { say("1"); }
static void at_exit_2(void) { say("2"); }

int main(int argc, char **argv, char **envp)
{
    char text[16] = "";
    int all = 0, status;

    plan(8);
    check("constructors-ran", constructed == 2);
    check("arguments-end-with-null", argc >= 1 && argv[argc] == NULL);
    check("environment-is-the-third-argument", envp == environ);
    for (int i = 0; i < 5000; i++)
        all |= zeros[i];
    check("zeroed-data", all == 0);
    check("initialised-data", data[0] + data[1] + data[2] + data[3] == 10);
    check("thread-local-data", local == 7);
    check("auxiliary-vector", getauxval(AT_PAGESZ) == 4096 && getauxval(AT_RANDOM) != 0);

    if (pipe(pipe_ends) != 0)
        return 2;
    if (fork() == 0) {
        atexit(at_exit_1);
        atexit(at_exit_2);
        exit(5);
    }
    wait(&status);
    if (read(pipe_ends[0], text, sizeof text - 1) < 0)
        return 2;
    check("exit-handlers-run-in-reverse", WEXITSTATUS(status) == 5 && strcmp(text, "21") == 0);
    return done();
}
