/* uname (POSIX.1-2017). */
#ifndef _SYS_UTSNAME_H
#define _SYS_UTSNAME_H

#ifdef __cplusplus
extern "C" {
#endif

struct utsname {
    char sysname[65];  /* "Parvus" */
    char nodename[65]; /* as gethostname */
    char release[65];
    char version[65]; /* the hypervisor below */
    char machine[65]; /* "x86_64" */
};

int uname(struct utsname *out);

#ifdef __cplusplus
}
#endif
#endif
