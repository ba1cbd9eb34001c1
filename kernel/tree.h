/*
 * Red-black trees: newlib's <sys/tree.h>, which asks to be told that one knows it is old. The
 * version is pinned (tools/deps), so it will not go away.
 */
#ifndef KERNEL_TREE_H
#define KERNEL_TREE_H

#define __PERMIT_DEPRECATED_SYS_TREE_H
#include <sys/tree.h>

#endif
