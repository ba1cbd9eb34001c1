/*
 * The files that were handed over at boot (`tools/parvus run --initrd`): a read-only tree.
 */
#ifndef KERNEL_INITRD_H
#define KERNEL_INITRD_H

#include "kernel/archive.h"

/* The tree, which never changes. Read from the archive at the first call, so that a guest that
 * opens no file spends nothing on it; where there is no initrd, or one that was refused (which is
 * logged), it holds the root alone. May sleep. */
const struct archive *initrd_archive(void);

#endif
