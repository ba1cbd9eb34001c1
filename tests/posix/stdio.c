/*
 * What printf and its like do with strings.
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
