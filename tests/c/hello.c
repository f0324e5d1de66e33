/* The smallest C program. */
#include <stdio.h>

int main(void)
{
    printf("hello from a C program\n");
    return 0;
}
