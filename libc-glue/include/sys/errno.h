/* newlib's, with the names that Linux has beyond POSIX. */
#ifndef __LINUX_ERRNO_EXTENSIONS__
#define __LINUX_ERRNO_EXTENSIONS__ 1
#endif
#include_next <sys/errno.h>
