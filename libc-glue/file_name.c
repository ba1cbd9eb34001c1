/*
 * The parts of a path's text (POSIX.1-2017). GNU's basename is newlib's.
 *
 * Ordinary calls from threads.
 */
#include <libgen.h>
#include <stddef.h>
#include <string.h>

/* Where the path ends without slashes at its end; at least one character stays. */
static char *end_of(char *path)
{
    char *end = path + strlen(path);

    while (end > path + 1 && end[-1] == '/')
        end--;
    return end;
}

/* Changes the path, as it may. */
char *basename(char *path)
{
    if (path == NULL || *path == 0)
        return ".";
    char *end = end_of(path);
    *end = 0;
    if (end == path + 1)
        return path; /* "/" or one letter */
    char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

char *dirname(char *path)
{
    if (path == NULL || *path == 0)
        return ".";
    *end_of(path) = 0;
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    *(slash == path ? slash + 1 : slash) = 0;
    *end_of(path) = 0;
    return path;
}
