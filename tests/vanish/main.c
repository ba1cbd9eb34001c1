/*
 * The first network device vanishes while nobody uses it: its function answers no more, as if it
 * had been pulled out. The interface goes down, and the rest of the network works on.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <parvus.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/pci.h"

/* Reads of its memory give ones from now on, writes go nowhere. */
static int vanish(const struct pci_function *f, void *unused)
{
    (void)unused;
    if (f->vendor != 0x1af4 || f->device != 0x1041)
        return 0;
    pci_command(f, 0, PCI_COMMAND_MEMORY);
    return 1;
}

static struct parvus_interface state_of(const char *name)
{
    struct parvus_interface state;

    for (unsigned n = 0; parvus_interface(n, &state); n++)
        if (strcmp(state.name, name) == 0)
            return state;
    return (struct parvus_interface){0};
}

/* A packet to ourselves. */
static bool loopback_works(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(here);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    char text[4];

    return s >= 0 && bind(s, (struct sockaddr *)&here, sizeof(here)) == 0 &&
           getsockname(s, (struct sockaddr *)&here, &bytes) == 0 &&
           sendto(s, "good", 4, 0, (struct sockaddr *)&here, bytes) == 4 &&
           recv(s, text, sizeof(text), 0) == 4 && memcmp(text, "good", 4) == 0;
}

int main(void)
{
    if (!state_of("eth0").is_up || pci_scan(vanish, NULL) != 1)
        return 2;
    puts("eth0 vanishes");
    while (!state_of("eth0").is_broken || state_of("eth0").is_up)
        usleep(10000);
    printf("eth0 is gone, eth1 is %s\n", state_of("eth1").is_up ? "up" : "down");
    return loopback_works() ? 0 : 3;
}
