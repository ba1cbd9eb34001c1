/*
 * The files that are served: those of the working folder. What is asked for often is kept in
 * memory, and looked at again when it may have changed.
 */
#ifndef HTTPD_FILES_H
#define HTTPD_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bodies up to this size are kept; larger ones are read from the file each time. */
#define FILES_BODY_MAX (32u << 10)

struct file_page {
    struct file_page *next_in_bucket;
    uint32_t hash;
    bool is_folder; /* with a slash at the end of its path and no index: a list is to be made */
    uint64_t bytes;
    int64_t mtime_s;
    uint64_t inode;
    uint64_t checked_ms;
    char etag[48];
    char modified[32]; /* as in HTTP */
    const char *type;
    char *body;   /* or NULL: too large, or no memory */
    char *fields; /* of the header, what does not change; with the length of the whole body */
    size_t fields_bytes, common_bytes; /* all; without that length, which comes last */
    size_t path_bytes;
    char path[]; /* as asked for */
};

/* What a path (decoded, beginning with a slash) stands for. 0 or an HTTP status: 404, 403, 503,
 * 500, or 301 for a folder without a slash at its end. The page stays valid until the next call. */
int files_find(const char *path, size_t bytes, uint64_t now_ms, struct file_page **out);

/* Opens the page's file; -1: it is gone or has changed since. */
int files_open(const struct file_page *page);

struct files_counts {
    unsigned pages;
    uint64_t bytes; /* of bodies kept */
    uint64_t hits, misses;
};
extern struct files_counts files_counts;

#endif
