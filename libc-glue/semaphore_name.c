/*
 * Named semaphores: they have names of their own, in no file system, that this process alone uses.
 *
 * Ordinary calls from threads; they may sleep. Lock: names_lock protects the list and its nodes.
 * Source: POSIX.1-2017, sem_open, sem_close, sem_unlink.
 */
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "kernel/sync.h"
#include "libc-glue/glue.h"

struct named {
    sem_t sem; /* first: what programs have */
    LIST_ENTRY(named) link;
    unsigned nr_open;
    char *name; /* NULL: unlinked, it goes when the last one closes it */
};

static LIST_HEAD(, named) all = LIST_HEAD_INITIALIZER(all);
static struct mutex names_lock = MUTEX_INIT;

/* As on Linux: a leading slash counts for nothing, and another is not allowed. */
static int check_name(const char **name)
{
    *name += strspn(*name, "/");
    if (**name == 0 || strchr(*name, '/') != NULL)
        return -EINVAL;
    return strlen(*name) > NAME_MAX - 4 ? -ENAMETOOLONG : 0; /* Linux keeps "sem." in front */
}

static struct named *find(const char *name)
{
    struct named *n;

    LIST_FOREACH(n, &all, link)
    if (n->name != NULL && strcmp(n->name, name) == 0)
        return n;
    return NULL;
}

static int create(struct named **out, const char *name, unsigned value)
{
    struct named *n;

    if (value > SEM_VALUE_MAX)
        return -EINVAL;
    n = calloc(1, sizeof(*n));
    if (n == NULL || (n->name = strdup(name)) == NULL) {
        free(n);
        return -ENOMEM;
    }
    sem_init(&n->sem, 0, value);
    LIST_INSERT_HEAD(&all, n, link);
    *out = n;
    return 0;
}

static int open_named(struct named **out, const char *name, int flags, unsigned value)
{
    struct named *n = find(name);
    int error = 0;

    if (n != NULL && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if (n == NULL)
        error = flags & O_CREAT ? create(&n, name, value) : -ENOENT;
    if (error == 0) {
        n->nr_open++;
        *out = n;
    }
    return error;
}

sem_t *sem_open(const char *name, int flags, ...)
{
    unsigned value = 0;
    struct named *n;
    int error = check_name(&name);

    if (flags & O_CREAT) {
        va_list more;

        va_start(more, flags);
        (void)va_arg(more, mode_t); /* nobody is kept out by it */
        value = va_arg(more, unsigned);
        va_end(more);
    }
    if (error == 0) {
        mutex_lock(&names_lock);
        error = open_named(&n, name, flags, value);
        mutex_unlock(&names_lock);
    }
    if (error == 0)
        return &n->sem;
    glue_result(error);
    return SEM_FAILED;
}

static void free_if_unused(struct named *n)
{
    if (n->name != NULL || n->nr_open > 0)
        return;
    LIST_REMOVE(n, link);
    free(n);
}

int sem_close(sem_t *sem)
{
    struct named *n;

    mutex_lock(&names_lock);
    LIST_FOREACH(n, &all, link)
    if (&n->sem == sem && n->nr_open > 0)
        break;
    if (n != NULL) {
        n->nr_open--;
        free_if_unused(n);
    }
    mutex_unlock(&names_lock);
    return (int)glue_result(n != NULL ? 0 : -EINVAL);
}

int sem_unlink(const char *name)
{
    struct named *n = NULL;
    int error = check_name(&name);

    if (error != 0)
        return (int)glue_result(error == -EINVAL ? -ENOENT : error); /* none can be called so */
    mutex_lock(&names_lock);
    n = find(name);
    if (n != NULL) {
        free(n->name);
        n->name = NULL;
        free_if_unused(n);
    }
    mutex_unlock(&names_lock);
    return (int)glue_result(n != NULL ? 0 : -ENOENT);
}
