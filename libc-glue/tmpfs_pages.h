/*
 * Contents of tmpfs's files: pages of memory by their index, for any size with holes.
 *
 * The pages come out of memory mapped in larger pieces, which goes back when much of it is free.
 * Callers: tmpfs.c, with the lock of the file whose pages they are. May sleep. 0 or a negative
 * errno.
 */
#ifndef LIBC_GLUE_TMPFS_PAGES_H
#define LIBC_GLUE_TMPFS_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TMPFS_PAGE_BYTES 4096ul

/* Of one file; all zero: empty. */
struct tmpfs_pages {
    void *top;       /* the tree, NULL: none */
    unsigned height; /* of the tree; with 1, top is a leaf */
    uint64_t count;  /* pages that are there */
    uint64_t leaf_index;
    uintptr_t *leaf; /* used last, NULL: none; it is for pages from leaf_index on */
};

/* The most pages that all files have at once. Once, before the first page. */
void tmpfs_pages_limit(uint64_t pages);
struct tmpfs_page_counts {
    uint64_t limit, used;
};
void tmpfs_pages_counts(struct tmpfs_page_counts *out);

/* The page, or NULL where there is none: it reads as zeroes. */
void *tmpfs_pages_find(struct tmpfs_pages *pages, uint64_t index);
/* The page, which is made if there is none: then *is_new, and its contents are undefined.
 * -ENOSPC: at the limit, or no memory. */
int tmpfs_pages_make(struct tmpfs_pages *pages, uint64_t index, void **out, bool *is_new);
/* The page, which tmpfs_pages_find found, stays for who holds it, though its file may lose it. */
uintptr_t tmpfs_pages_hold(struct tmpfs_pages *pages, uint64_t index);
void tmpfs_pages_let_go(uintptr_t held);
/* Takes the pages from `first` on out of the file; those that nobody holds are free. */
void tmpfs_pages_cut(struct tmpfs_pages *pages, uint64_t first);

#endif
