/*
 * The machine's name: what the network calls itself.
 *
 * Ordinary calls from threads.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/glue.h"
#include "net/net.h"

/* NULL where nothing else in the image uses the network. */
#pragma weak net_hostname

#define NAME_WITHOUT_NETWORK "parvus"

int gethostname(char *name, size_t bytes)
{
    const char *own = net_hostname ? net_hostname() : NAME_WITHOUT_NETWORK;

    if (strlen(own) >= bytes)
        return (int)glue_result(-ENAMETOOLONG);
    strcpy(name, own);
    return 0;
}

/* It is the network's, or that of the parameter hostname=. */
int sethostname(const char *name, size_t bytes)
{
    (void)name, (void)bytes;
    return (int)glue_result(-EPERM);
}
