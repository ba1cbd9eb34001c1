/*
 * Dynamic linking: refused. The image is one static program.
 *
 * Ordinary calls from threads.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

static _Thread_local bool has_failed;

static void *refuse(void)
{
    has_failed = true;
    return NULL;
}

void *dlopen(const char *path, int flags)
{
    (void)path, (void)flags;
    return refuse();
}

void *dlsym(void *handle, const char *name)
{
    (void)handle, (void)name;
    return refuse();
}

int dlclose(void *handle)
{
    (void)handle;
    refuse();
    return -1;
}

char *dlerror(void)
{
    bool is_new = has_failed;

    has_failed = false;
    return is_new ? "this system has no dynamic linking" : NULL;
}

int dladdr(const void *address, Dl_info *out)
{
    (void)address, (void)out;
    return 0;
}
