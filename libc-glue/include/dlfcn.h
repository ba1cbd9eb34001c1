/* Dynamic linking (POSIX.1-2017): there is none. A program that asks is told so. */
#ifndef _DLFCN_H
#define _DLFCN_H

#ifdef __cplusplus
extern "C" {
#endif

#define RTLD_LAZY 1
#define RTLD_NOW 2
#define RTLD_NOLOAD 4
#define RTLD_GLOBAL 0x100
#define RTLD_LOCAL 0
#define RTLD_NODELETE 0x1000
#define RTLD_DEFAULT ((void *)0)
#define RTLD_NEXT ((void *)-1l)

void *dlopen(const char *path, int flags);   /* NULL */
void *dlsym(void *handle, const char *name); /* NULL */
int dlclose(void *handle);                   /* -1 */
char *dlerror(void);                         /* why the last of these failed, once */

typedef struct {
    const char *dli_fname;
    void *dli_fbase;
    const char *dli_sname;
    void *dli_saddr;
} Dl_info;

int dladdr(const void *address, Dl_info *out); /* 0: not found */

#ifdef __cplusplus
}
#endif
#endif
