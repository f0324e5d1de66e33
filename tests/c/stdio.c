/* stdio and the calls under it: formats, buffering, seeking, temporary files. */
#define _GNU_SOURCE
#include "tap.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
    char text[256], line[64];
    FILE *file;
    int number, count;
    double real;
    char *grown = NULL;
    size_t room = 0;

    plan(14);
    snprintf(text, sizeof text, "%d %5s|%-5s|%05.2f %x %c %%", -42, "ab", "cd", 3.14159, 255, 'z');
    check("formats", strcmp(text, "-42    ab|cd   |03.14 ff z %") == 0);
    check("scanning", sscanf("17 words 2.5", "%d %63s %lf", &number, line, &real) == 3 && number == 17 && real == 2.5);

    file = tmpfile();
    check("temporary-file", file != NULL);
    if (file == NULL)
        return 1;
    for (int i = 0; i < 10000; i++)
        fprintf(file, "line %d\n", i);
    check("position-after-writing", ftell(file) > 80000);
    rewind(file);
    for (count = 0; fgets(line, sizeof line, file) != NULL; count++) {
        snprintf(text, sizeof text, "line %d\n", count);
        if (strcmp(text, line) != 0)
            break;
    }
    check("lines-read-back", count == 10000 && feof(file));
    fseek(file, 5, SEEK_SET);
    check("one-character-at-a-place", fgetc(file) == '0');
    ungetc('#', file);
    check("a-character-put-back", fgetc(file) == '#');
    fclose(file);

    file = fopen("/no/such/directory/file", "r");
    check("a-missing-file", file == NULL && errno == ENOENT);
    snprintf(text, sizeof text, "/tmp/c-stdio-%d", (int)getpid());
    file = fopen(text, "w+");
    check("a-named-file", file != NULL);
    if (file == NULL)
        return 1;
    setvbuf(file, NULL, _IOFBF, 100);
    for (int i = 0; i < 1000; i++)
        fputc('a' + i % 26, file);
    fflush(file);
    struct stat stat_of;
    check("flushed-to-the-file", stat(text, &stat_of) == 0 && stat_of.st_size == 1000);
    fclose(file);
    check("removed", remove(text) == 0 && access(text, F_OK) != 0);

    file = open_memstream(&grown, &room);
    fprintf(file, "%s %s", "grown", "in memory");
    fclose(file);
    check("a-stream-in-memory", strcmp(grown, "grown in memory") == 0 && room == 15);
    free(grown);

    check("error-texts", strcmp(strerror(ENOENT), "No such file or directory") == 0);
    fclose(stdin);
    check("closing-a-standard-stream", lseek(0, 0, SEEK_CUR) == -1 && errno == EBADF);
    return done();
}
