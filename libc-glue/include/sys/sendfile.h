/*
 * From one descriptor to another without a buffer of the program's.
 *
 * Source: Linux's sendfile(2).
 */
#ifndef _SYS_SENDFILE_H
#define _SYS_SENDFILE_H

#include <sys/cdefs.h>
#include <sys/types.h>

__BEGIN_DECLS

/* The input is read at *offset, which advances (NULL: at its own position, which does). */
ssize_t sendfile(int to, int from, off_t *offset, size_t bytes);

__END_DECLS

#endif
