/*
 * Memory for newlib's malloc: the kernel's growable heap.
 *
 * Called by malloc and free under newlib's malloc lock. May sleep.
 */
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/entropy.h"
#include "kernel/panic.h"
#include "kernel/vm.h"
#include "libc-glue/glue.h"

/* What the heads of malloc's chunks are checked with (tools/deps/newlib.patch). */
extern size_t __malloc_secret;
size_t __malloc_secret;

void *sbrk(ptrdiff_t increment)
{
    void *old_end;

    if (__malloc_secret == 0) /* before the first chunk */
        __malloc_secret = entropy_early() | 1;
    int result = heap_grow(increment, &old_end);

    return result == 0 ? old_end : (void *)glue_result(result);
}

/* Called by malloc, free and realloc (tools/deps/newlib.patch) instead of corrupting the heap more.
 */
_Noreturn void __malloc_corrupted(void *memory);

_Noreturn void __malloc_corrupted(void *memory)
{
    panic("heap: %p was freed twice, is not from malloc, or something wrote past a block near it",
          memory);
}

/* Returns an error number (POSIX). */
int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *memory = memalign(alignment, bytes);
    if (memory == NULL)
        return ENOMEM;
    *out = memory;
    return 0;
}
