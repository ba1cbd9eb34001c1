/*
 * What the system calls itself.
 *
 * An ordinary call from threads.
 */
#include <parvus.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

int uname(struct utsname *out)
{
    struct parvus_info info;

    parvus_info(&info);
    *out = (struct utsname){
        .sysname = "Parvus",
        .release = "1", /* nothing depends on it: there are no versions yet */
        .machine = "x86_64",
    };
    snprintf(out->version, sizeof(out->version), "%s", info.interface);
    return gethostname(out->nodename, sizeof(out->nodename));
}
