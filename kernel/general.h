/*
 * What the compiler and the sources of kernel/, pv/ and net/ call by a standard name, in general
 * registers only: an event handler has no others, as those of the thread that it interrupts are not
 * saved (kernel/fpu.c), and the functions with the standard names use SSE (libc-glue/string.c). The
 * Makefile includes this before each of these sources; the assembler renames the compiler's own
 * calls as well, of memcpy for a structure. The functions are in libc-glue/memory.S and
 * libc-glue/general.c.
 */
#ifndef __ASSEMBLER__
__asm__("memcpy = general_memcpy\n"
        "memmove = general_memmove\n"
        "memcmp = general_memcmp\n"
        "strlen = general_strlen\n"
        "memchr = general_memchr\n"
        "strchr = general_strchr\n");
#endif
