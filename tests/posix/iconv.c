/*
 * Conversions between encodings.
 */
#include <iconv.h>

#include "tests/posix/check.h"

#define EURO "\xe2\x82\xac"

static void converts(const char *to, const char *from, char *in, size_t in_bytes,
                     const char *expected, size_t bytes)
{
    char out[64], *end = out;
    size_t room = sizeof(out);
    iconv_t cd = iconv_open(to, from);

    if (cd == (iconv_t)-1) {
        FAIL("%s to %s: %s", from, to, strerror(errno));
        return;
    }
    if (iconv(cd, &in, &in_bytes, &end, &room) != 0 || in_bytes != 0 || end != out + bytes ||
        room != sizeof(out) - bytes || memcmp(out, expected, bytes) != 0)
        FAIL("%s to %s", from, to);
    CHECK_OK(iconv_close(cd));
}

TEST(iconv_encodings, "iconv converts between Unicode's encodings and older ones, and back.")
{
    static const struct {
        const char *encoding, *text;
        size_t bytes;
        const char *utf_8;
    } cases[] = {
        {"ISO-8859-1", "na\xefve", 5, "na\xc3\xafve"},
        {"latin1", "\xe9", 1, "\xc3\xa9"},
        {"ISO-8859-5", "\xb6", 1, "\xd0\x96"},
        {"ISO-8859-15", "5 \xa4", 3, "5 " EURO},
        {"CP1252", "5 \x80", 3, "5 " EURO},
        {"windows-1252", "5 \x80", 3, "5 " EURO},
        {"WCHAR_T", "\x16\x04\0", 4, "\xd0\x96"},
        {"UTF-32BE", "\0\x01\xf6\x00", 4, "\xf0\x9f\x98\x80"},
        {"KOI8-R", "\xf6", 1, "\xd0\x96"},
        {"US-ASCII", "plain", 5, "plain"},
        {"UTF-16LE", "a\0\x3d\xd8\x00\xde", 6, "a\xf0\x9f\x98\x80"},
        {"UTF-16BE", "\0a\xd8\x3d\xde\x00", 6, "a\xf0\x9f\x98\x80"},
        {"UCS-2BE", "\x20\xac", 2, EURO},
        {"UCS-4LE", "\x00\xf6\x01\0", 4, "\xf0\x9f\x98\x80"},
        {"UCS-4BE", "\0\x01\xf6\x00", 4, "\xf0\x9f\x98\x80"},
        {"UTF-8", "same", 4, "same"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[16], utf_8[16];

        memcpy(text, cases[i].text, cases[i].bytes);
        strcpy(utf_8, cases[i].utf_8);
        converts("UTF-8", cases[i].encoding, text, cases[i].bytes, utf_8, strlen(utf_8));
        converts(cases[i].encoding, "UTF-8", utf_8, strlen(utf_8), text, cases[i].bytes);
    }
}

/* Converts, and stops with an error after so many bytes of the input. */
static void stops(const char *to, const char *from, const char *text, size_t room, int error,
                  ptrdiff_t after)
{
    char in[16], out[16], *begin = in, *end = out;
    size_t bytes = strlen(text);
    iconv_t cd = iconv_open(to, from);

    if (!CHECK(cd != (iconv_t)-1))
        return;
    memcpy(in, text, bytes);
    CHECK_FAILS(iconv(cd, &begin, &bytes, &end, &room), error);
    CHECK_EQ(begin - in, after);
    CHECK_EQ(bytes, strlen(text) - (size_t)after);
    CHECK_OK(iconv_close(cd));
}

TEST(iconv_errors,
     "iconv stops at what is no text, is cut off or has no room; unknown names are refused.")
{
    char in[] = "abc", out[3], *begin = in, *end = out;
    size_t bytes = 3, room = 3;
    iconv_t cd;

    stops("ISO-8859-1", "UTF-8", "ab\xff", 16, EILSEQ, 2);
    stops("ISO-8859-1", "UTF-8", "a\xc0\x80", 16, EILSEQ, 1);
    stops("UTF-16LE", "UTF-8", "a\xed\xa0\x80", 16, EILSEQ, 1);
    stops("UTF-8", "UTF-8", "a\xff", 16, EILSEQ, 1);
    stops("UTF-8", "US-ASCII", "a\x80", 16, EILSEQ, 1);
    stops("ISO-8859-1", "UTF-8", "ab\xc3", 16, EINVAL, 2);
    stops("UTF-8", "UTF-16LE", "a", 16, EINVAL, 0);
    stops("ISO-8859-1", "UTF-8", "abc", 2, E2BIG, 2);
    stops("UTF-8", "ISO-8859-1", "\xe9\xe9", 3, E2BIG, 1);

    REQUIRE((cd = iconv_open("UTF-8", "UTF-8")) != (iconv_t)-1);
    CHECK_EQ(iconv(cd, &begin, &bytes, &end, &room), 0); /* just fits */
    CHECK_EQ(iconv(cd, &begin, &bytes, &end, &room), 0); /* nothing */
    CHECK_EQ(iconv(cd, NULL, NULL, NULL, NULL), 0);
    CHECK_OK(iconv_close(cd));

    CHECK((cd = iconv_open("UTF-8", "no-such-encoding")) == (iconv_t)-1 && errno == EINVAL);
    errno = 0;
    CHECK((cd = iconv_open("no-such-encoding", "UTF-8")) == (iconv_t)-1 && errno == EINVAL);
}
