/*
 * The command line. Words before `--` are system parameters (key=value); words after it are the
 * application's arguments. Double quotes group, backslash escapes. `env.NAME=value` sets an
 * environment variable; `virtio_mmio.device=...` is recorded wherever it stands (QEMU appends it).
 * An unknown key is a warning that names it. Parsed once at boot, read-only afterwards.
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <stddef.h>

/* Splits and keeps line in place, applies log=; the other parameters wait for their accessors. */
void cmdline_init(char *line);

/* Value of the last `key=value` before `--`, or NULL. */
const char *cmdline_get(const char *key);

/* "4096", "64K", "1M"; plain bytes otherwise. -ENOENT: not given; -EINVAL: not a size (warned). */
int cmdline_get_size(const char *key, size_t *out);

/* The n-th virtio_mmio.device= value, or NULL. */
const char *cmdline_virtio_mmio(unsigned n);

/* argc and the number of environment variables; then the pointers, each list NULL-terminated.
 * argv[0] is the program's name. */
int cmdline_argc(void);
int cmdline_envc(void);
void cmdline_argv(char **argv);
void cmdline_envp(char **envp);

#endif
