/* The guest's command line (kernel/cmdline.c). */
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "tests/fuzz/host/fuzz.h"

static size_t count(char **list)
{
    size_t n = 0;

    for (; list[n]; n++)
        FUZZ_CHECK(strlen(list[n]) < 1024);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *line = fuzz_text(data, bytes < 1023 ? bytes : 1023);
    char **list;
    size_t size;

    log_level = LOG_LEVEL_DEBUG;
    cmdline_init(line);
    cmdline_get_size("stack", &size);
    cmdline_get("ip");
    for (unsigned n = 0; cmdline_virtio_mmio(n); n++)
        FUZZ_CHECK(n < 1024);
    FUZZ_CHECK(cmdline_argc() >= 1);
    list = calloc((size_t)cmdline_argc() + 1, sizeof(*list));
    cmdline_argv(list);
    FUZZ_CHECK(count(list) == (size_t)cmdline_argc());
    free(list);
    list = calloc((size_t)cmdline_envc() + 1, sizeof(*list));
    cmdline_envp(list);
    FUZZ_CHECK(count(list) == (size_t)cmdline_envc());
    free(list);
    free(line);
    return 0;
}
