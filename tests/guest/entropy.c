/*
 * Random bytes of a device (tests/host/virtio.py brings one), and getentropy.
 */
#include "kernel/entropy.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/test.h"

static const char *needs_device(void)
{
    uint8_t byte;

    return entropy_read(&byte, 1) == -ENODEV ? "the machine has no entropy device" : NULL;
}

/* Whether bytes are about as many different ones as random bytes would be. */
static bool looks_random(const uint8_t *bytes, size_t count)
{
    unsigned ones = 0;

    for (size_t i = 0; i < count; i++)
        ones += (unsigned)__builtin_popcount(bytes[i]);
    return ones > count * 3 && ones < count * 5;
}

TEST_WHERE(entropy_device,
           "Any number of bytes can be had, no two reads are alike, no byte is left out.",
           needs_device)
{
    static uint8_t first[5000], second[5000];
    static const size_t sizes[] = {1, 2, 255, 256, 257, 1000, sizeof(first)};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(first, 0, sizeof(first));
        REQUIRE_OK(entropy_read(first, sizes[i]));
        if (sizes[i] < sizeof(first))
            CHECK_EQ(first[sizes[i]], 0);
    }
    REQUIRE_OK(entropy_read(second, sizeof(second)));
    CHECK(looks_random(first, sizeof(first)));
    CHECK(looks_random(second, sizeof(second)));
    for (size_t at = 0; at + 250 <= sizeof(first); at += 250) {
        CHECK(memcmp(first + at, second + at, 250) != 0);
        CHECK(looks_random(first + at, 250));
    }
}

TEST_WHERE(entropy_getentropy, "getentropy has random bytes, by the processor or the device.",
           needs_device)
{
    uint8_t bytes[256];

    REQUIRE_OK(getentropy(bytes, sizeof(bytes)));
    CHECK(looks_random(bytes, sizeof(bytes)));
    CHECK_EQ(getentropy(bytes, sizeof(bytes) + 1), -1);
    CHECK_EQ(errno, EIO);
}
