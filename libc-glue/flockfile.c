/*
 * The lock of a stdio stream, for programs: newlib declares these (POSIX.1-2017, flockfile) and
 * leaves them to the system. A lock is recursive: newlib's own calls take it, too.
 *
 * Ordinary calls from threads.
 */
#include <stdio.h>
#include <sys/lock.h>
#include <sys/stdio.h>

void flockfile(FILE *stream)
{
    _flockfile(stream);
}

int ftrylockfile(FILE *stream)
{
    /* A string's stream (sprintf) has no lock. */
    return (stream->_flags & __SSTR) == 0 && !__lock_try_acquire_recursive(stream->_lock);
}

void funlockfile(FILE *stream)
{
    _funlockfile(stream);
}
