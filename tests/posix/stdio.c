/*
 * What printf and scanf make of their arguments.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "tests/posix/check.h"

/* No compiler may see through it. */
static void *volatile nothing;

TEST(stdio_null, "A null string is printed as (null), by all of printf.")
{
    char text[64], *allocated;
    wchar_t wide[64];
    FILE *stream;

    CHECK_EQ(snprintf(text, sizeof(text), "%s|%9s|%-7s|%.6s", (char *)nothing, (char *)nothing,
                      (char *)nothing, (char *)nothing),
             6 + 1 + 9 + 1 + 7 + 1 + 6);
    CHECK(strcmp(text, "(null)|   (null)|(null) |(null)") == 0);
    CHECK_EQ(snprintf(text, sizeof(text), "%ls|%8ls", (wchar_t *)nothing, (wchar_t *)nothing), 15);
    CHECK(strcmp(text, "(null)|  (null)") == 0);
    CHECK_EQ(
        swprintf(wide, 64, L"%ls|%s|%8s", (wchar_t *)nothing, (char *)nothing, (char *)nothing),
        22);
    CHECK(wcscmp(wide, L"(null)|(null)|  (null)") == 0);
    REQUIRE(asprintf(&allocated, "<%s>", (char *)nothing) == 8);
    CHECK(strcmp(allocated, "<(null)>") == 0);
    free(allocated);
    REQUIRE((stream = tmpfile()) != NULL);
    CHECK_EQ(fprintf(stream, "%s\n", (char *)nothing), 7);
    rewind(stream);
    CHECK(fgets(text, sizeof(text), stream) != NULL && strcmp(text, "(null)\n") == 0);
    CHECK_OK(fclose(stream));
}

TEST(stdio_numbered, "Numbered arguments, of printf and scanf, in any order and number.")
{
    char text[64];
    wchar_t wide[64];
    int first = 0, second = 0;

    CHECK_EQ(snprintf(text, sizeof(text), "<%1$s>", "one"), 5);
    CHECK(strcmp(text, "<one>") == 0);
    snprintf(text, sizeof(text), "%3$s %1$d %2$.2f %1$04x %4$lld %5$c %6$s %7$*8$d", 10, 2.5,
             "text", -5000000000ll, 'c', "six", 7, 4);
    CHECK(strcmp(text, "text 10 2.50 000a -5000000000 c six    7") == 0);
    swprintf(wide, 64, L"%2$ls %1$d %3$s", 1, L"two", "three");
    CHECK(wcscmp(wide, L"two 1 three") == 0);
    CHECK_EQ(sscanf("1 2", "%2$d %1$d", &first, &second), 2);
    CHECK(first == 2 && second == 1);
    CHECK_EQ(swscanf(L"3 4", L"%2$d %1$d", &first, &second), 2);
    CHECK(first == 4 && second == 3);
}
