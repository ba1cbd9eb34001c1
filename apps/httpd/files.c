/*
 * Files and the cache of them: a hash table by path. When it is full it is emptied: what is asked
 * for often is soon there again.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_date.h"
#include "text.h"

#define BUCKETS 1024u /* a power of two */
#define PAGES_MAX 4096u
#define BODIES_MAX (8u << 20) /* bytes */
#define CHECK_AFTER_MS 1000
#define INDEX "index.html"
#define FILE_PATH_MAX 4200

struct files_counts files_counts;

static struct file_page *buckets[BUCKETS];

static const struct {
    const char *suffix, *type;
} types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"gz", "application/gzip"},
    {"tar", "application/x-tar"},
    {"zip", "application/zip"},
};

static const char *type_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot != NULL && strchr(dot, '/') == NULL) {
        struct text suffix = text_of(dot + 1);

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            if (text_is_word(suffix, types[i].suffix))
                return types[i].type;
        }
    }
    return "application/octet-stream";
}

static int status_of_errno(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return 503;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
        return 404;
    default:
        return 500;
    }
}

/* --- The cache -------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *path, size_t bytes)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619u;
    return hash;
}

static struct file_page **place_of(const char *path, size_t bytes, uint32_t hash)
{
    struct file_page **place = &buckets[hash & (BUCKETS - 1)];

    while (*place != NULL && ((*place)->hash != hash || (*place)->path_bytes != bytes ||
                              memcmp((*place)->path, path, bytes) != 0))
        place = &(*place)->next_in_bucket;
    return place;
}

static void drop(struct file_page **place)
{
    struct file_page *page = *place;

    *place = page->next_in_bucket;
    files_counts.pages--;
    files_counts.bytes -= page->body != NULL ? page->bytes : 0;
    free(page->body);
    free(page->fields);
    free(page);
}

static void drop_all(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (buckets[i] != NULL)
            drop(&buckets[i]);
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* The name of the file for a path, relative to the working folder. 0 or an HTTP status. */
static int file_name(const char *path, size_t bytes, char out[FILE_PATH_MAX])
{
    if (bytes + sizeof(INDEX) > FILE_PATH_MAX)
        return 404;
    memcpy(out, path + 1, bytes); /* with the NUL */
    if (path[bytes - 1] == '/')
        memcpy(out + bytes - 1, INDEX, sizeof(INDEX));
    return 0;
}

/* The file or folder behind a path. 0 or an HTTP status. */
static int look(const char *path, size_t bytes, struct stat *info)
{
    char name[FILE_PATH_MAX];
    int status = file_name(path, bytes, name);

    if (status != 0)
        return status;
    if (stat(name, info) != 0) {
        if (errno != ENOENT || path[bytes - 1] != '/')
            return status_of_errno(errno);
        name[bytes - 1] = 0; /* no index: the folder itself */
        if (stat(bytes > 1 ? name : ".", info) != 0)
            return status_of_errno(errno);
        return S_ISDIR(info->st_mode) ? 0 : 404;
    }
    if (S_ISDIR(info->st_mode))
        return path[bytes - 1] == '/' ? 404 : 301;
    return S_ISREG(info->st_mode) ? 0 : 403;
}

static bool is_unchanged(const struct file_page *page, const struct stat *info)
{
    return S_ISDIR(info->st_mode) == page->is_folder && info->st_mtime == page->mtime_s &&
           (page->is_folder || (uint64_t)info->st_size == page->bytes) &&
           info->st_ino == page->inode;
}

int files_open(const struct file_page *page)
{
    char name[FILE_PATH_MAX];
    struct stat info;

    if (file_name(page->path, page->path_bytes, name) != 0)
        return -1;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &info) != 0 || !is_unchanged(page, &info))) {
        close(fd);
        errno = ESTALE;
        return -1;
    }
    return fd;
}

/* The whole file, or NULL: its pages are then read as they are sent. */
static char *read_body(const struct file_page *page)
{
    size_t done = 0;

    if (page->bytes > FILES_BODY_MAX)
        return NULL;
    char *body = malloc(page->bytes + 1); /* not 0 */
    int fd = body != NULL ? files_open(page) : -1;
    while (fd >= 0 && done < page->bytes) {
        ssize_t part = pread(fd, body + done, page->bytes - done, (off_t)done);

        if (part <= 0)
            break;
        done += (size_t)part;
    }
    if (fd >= 0)
        close(fd);
    if (fd < 0 || done < page->bytes) {
        free(body);
        return NULL;
    }
    return body;
}

static bool make_fields(struct file_page *page)
{
    char text[256];
    int common = snprintf(text, sizeof(text),
                          "Content-Type: %s\r\nLast-Modified: %s\r\nETag: %s\r\n"
                          "Accept-Ranges: bytes\r\n",
                          page->type, page->modified, page->etag);
    int all = common + snprintf(text + common, sizeof(text) - (size_t)common,
                                "Content-Length: %llu\r\n", (unsigned long long)page->bytes);

    page->fields = malloc((size_t)all);
    if (page->fields == NULL)
        return false;
    memcpy(page->fields, text, (size_t)all);
    page->fields_bytes = (size_t)all;
    page->common_bytes = (size_t)common;
    return true;
}

/* A page for the cache, not in it yet. NULL: no memory. */
static struct file_page *make(const char *path, size_t bytes, const struct stat *info)
{
    struct file_page *page = calloc(1, sizeof(*page) + bytes + 1);

    if (page == NULL)
        return NULL;
    memcpy(page->path, path, bytes);
    page->path_bytes = bytes;
    page->is_folder = S_ISDIR(info->st_mode);
    page->mtime_s = info->st_mtime;
    page->inode = info->st_ino;
    if (page->is_folder)
        return page;
    page->bytes = (uint64_t)info->st_size;
    page->type = type_of(path[bytes - 1] == '/' ? INDEX : page->path);
    snprintf(page->etag, sizeof(page->etag), "\"%llx-%llx\"", (unsigned long long)page->mtime_s,
             (unsigned long long)page->bytes);
    http_date_format(page->mtime_s, page->modified);
    if (!make_fields(page)) {
        free(page);
        return NULL;
    }
    page->body = read_body(page);
    return page;
}

int files_find(const char *path, size_t bytes, uint64_t now_ms, struct file_page **out)
{
    uint32_t hash = hash_of(path, bytes);
    struct file_page **place = place_of(path, bytes, hash), *page = *place;
    struct stat info;

    if (page != NULL && now_ms - page->checked_ms < CHECK_AFTER_MS) {
        files_counts.hits++;
        *out = page;
        return 0;
    }
    int status = look(path, bytes, &info);
    if (page != NULL && status == 0 && is_unchanged(page, &info)) {
        files_counts.hits++;
        page->checked_ms = now_ms;
        *out = page;
        return 0;
    }
    if (page != NULL)
        drop(place);
    if (status != 0)
        return status;
    files_counts.misses++;
    if (files_counts.pages >= PAGES_MAX || files_counts.bytes > BODIES_MAX)
        drop_all();
    page = make(path, bytes, &info);
    if (page == NULL) {
        drop_all(); /* for the next one */
        return 503;
    }
    page->hash = hash;
    page->checked_ms = now_ms;
    page->next_in_bucket = buckets[hash & (BUCKETS - 1)];
    buckets[hash & (BUCKETS - 1)] = page;
    files_counts.pages++;
    files_counts.bytes += page->body != NULL ? page->bytes : 0;
    *out = page;
    return 0;
}
