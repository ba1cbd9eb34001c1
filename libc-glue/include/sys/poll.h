/* The name of <poll.h> before POSIX. */
#include <poll.h>
