/* Locales, time and text in a static program, where no data files need be there. */
#define _GNU_SOURCE
#include "tap.h"
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

int main(void)
{
    char text[100];
    wchar_t wide[20];
    struct tm parts;
    time_t when = 1000000000;

    plan(10);
    check("the-c-locale", strcmp(setlocale(LC_ALL, NULL), "C") == 0);
    check("asking-for-the-environments", setlocale(LC_ALL, "") != NULL || setlocale(LC_ALL, "C") != NULL);
    check("an-unknown-locale", setlocale(LC_ALL, "xx_XX.none") == NULL);
    setlocale(LC_ALL, "C");
    check("decimal-point", strcmp(localeconv()->decimal_point, ".") == 0);
    gmtime_r(&when, &parts);
    strftime(text, sizeof text, "%A %d %B %Y %H:%M:%S", &parts);
    check("dates", strcmp(text, "Sunday 09 September 2001 01:46:40") == 0);
    check("dates-back", timegm(&parts) == when);
    setenv("TZ", "XYZ-2", 1);
    tzset();
    localtime_r(&when, &parts);
    check("time-zones-from-the-environment", parts.tm_hour == 3);
    check("numbers", strtod("1.5e3", NULL) == 1500 && strtol("0x1f", NULL, 0) == 31 && strtoul("-1", NULL, 10) == UINT64_MAX);
    check("mathematics", fabs(sin(1) * sin(1) + cos(1) * cos(1) - 1) < 1e-12 && sqrt(2) * sqrt(2) > 1.99);
    swprintf(wide, 20, L"%ls-%d", L"wide", 5);
    check("wide-characters", wcscmp(wide, L"wide-5") == 0);
    return done();
}
