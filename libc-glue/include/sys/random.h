/*
 * Random bytes, as Linux's getrandom(2) has them.
 */
#ifndef _SYS_RANDOM_H
#define _SYS_RANDOM_H

#include <sys/cdefs.h>
#include <sys/types.h>

/* All three make no difference: there is one generator, which is seeded when it is first asked. */
#define GRND_NONBLOCK 1
#define GRND_RANDOM 2
#define GRND_INSECURE 4

__BEGIN_DECLS
/* Any number of bytes at once. ENOSYS: the machine has no randomness; EIO: the device that it came
 * from failed; EINVAL: other flags. */
ssize_t getrandom(void *buffer, size_t bytes, unsigned flags);
int getentropy(void *buffer, size_t bytes);
__END_DECLS

#endif
