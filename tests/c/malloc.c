/* malloc under stress: sizes of every kind, from several threads, each block checked for its own pattern. */
#define _GNU_SOURCE
#include "tap.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { BLOCKS = 500, ROUNDS = 20000, THREADS = 4 };

static unsigned next(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 8;
}

static size_t some_size(unsigned *state)
{
    switch (next(state) % 10) {
    case 0: return next(state) % 200000;
    case 1: return next(state) % 20000;
    default: return next(state) % 500;
    }
}

static int holds(const unsigned char *block, size_t size, unsigned char value)
{
    return size == 0 || (block[0] == value && block[size / 2] == value && block[size - 1] == value);
}

static void *work(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    unsigned char *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        unsigned i = next(&state) % BLOCKS;
        unsigned char value = (unsigned char)i;
        if (blocks[i] != NULL && !holds(blocks[i], sizes[i], value))
            return NULL;
        size_t size = some_size(&state);
        unsigned char *block;
        if (next(&state) % 3 == 0) {
            block = realloc(blocks[i], size + 1);
            if (block == NULL)
                return NULL;
            if (sizes[i] > 0 && block[0] != value)
                return NULL;
        } else {
            free(blocks[i]);
            block = next(&state) % 2 ? malloc(size + 1) : calloc(1, size + 1);
            if (block == NULL)
                return NULL;
        }
        blocks[i] = block;
        sizes[i] = size;
        memset(block, value, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i] != NULL && !holds(blocks[i], sizes[i], (unsigned char)i))
            return NULL;
        free(blocks[i]);
    }
    return seed;
}

int main(void)
{
    pthread_t threads[THREADS];
    void *result, *block;
    int good = 1;

    plan(7);
    check("one-thread", work((void *)1) != NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 2));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &result);
        good &= result != NULL;
    }
    check("several-threads", good);

    volatile size_t impossible = SIZE_MAX / 2;
    block = malloc(impossible);
    check("too-much-is-refused", block == NULL && errno == ENOMEM);
    good = 1;
    for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
        good &= posix_memalign(&block, alignment, 1000) == 0 && (uintptr_t)block % alignment == 0;
        free(block);
    }
    check("alignment", good);
    unsigned char *big = malloc(64 << 20);
    big[0] = big[(64 << 20) - 1] = 1;
    big = realloc(big, 100 << 20);
    check("a-big-block-grows", big != NULL && big[0] == 1 && big[(64 << 20) - 1] == 1);
    free(big);
    check("trimming", malloc_trim(0) >= 0);
    good = 1;
    for (int i = 0; i < 200; i++) {
        unsigned char *zeros = calloc(1, 1 << 20);
        for (int at = 0; at < 1 << 20; at += 1 << 14)
            good &= zeros[at] == 0;
        memset(zeros, 0xff, 1 << 20);
        free(zeros);
    }
    check("fresh-memory-is-zero", good);
    return done();
}
