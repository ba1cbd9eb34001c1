/* newlib's, with the names that Linux has beyond POSIX. */
#ifndef __LINUX_ERRNO_EXTENSIONS__
#define __LINUX_ERRNO_EXTENSIONS__ 1
#endif
#include_next <sys/errno.h>

/* GNU's: argv[0] of main, and what of it is behind the last slash. */
extern char *program_invocation_name, *program_invocation_short_name;
