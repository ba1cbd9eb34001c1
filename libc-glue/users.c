/*
 * Users and groups: there is one of each, root, and whoever runs here is it. Becoming somebody else
 * is refused with EPERM, as nothing would come of it.
 *
 * Ordinary calls from threads.
 */
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/glue.h"

#define NAME "root"

/* --- Ourselves -------------------------------------------------------------------------------- */

uid_t getuid(void)
{
    return 0;
}

uid_t geteuid(void)
{
    return 0;
}

gid_t getgid(void)
{
    return 0;
}

gid_t getegid(void)
{
    return 0;
}

/* -1: stays as it is. */
static int become(unsigned id)
{
    return (int)glue_result(id == 0 || (unsigned short)id == (unsigned short)-1 ? 0 : -EPERM);
}

int setuid(uid_t user)
{
    return become(user);
}

int seteuid(uid_t user)
{
    return become(user);
}

int setgid(gid_t group)
{
    return become(group);
}

int setegid(gid_t group)
{
    return become(group);
}

int setreuid(uid_t real, uid_t effective)
{
    return become(real) != 0 || become(effective) != 0 ? -1 : 0;
}

int setregid(gid_t real, gid_t effective)
{
    return become(real) != 0 || become(effective) != 0 ? -1 : 0;
}

int issetugid(void)
{
    return 0;
}

int getgroups(int count, gid_t *out)
{
    (void)count, (void)out;
    return 0; /* no supplementary ones */
}

int setgroups(int count, const gid_t *groups)
{
    (void)groups;
    return (int)glue_result(count == 0 ? 0 : -EPERM);
}

int initgroups(const char *user, gid_t group)
{
    (void)user;
    return become(group);
}

char *getlogin(void)
{
    return NAME;
}

/* Returns an error number (POSIX). */
int getlogin_r(char *out, size_t bytes)
{
    if (bytes < sizeof(NAME))
        return ERANGE;
    memcpy(out, NAME, sizeof(NAME));
    return 0;
}

/* --- The users -------------------------------------------------------------------------------- */

static struct passwd root = {
    .pw_name = NAME,
    .pw_passwd = "x",
    .pw_comment = "",
    .pw_gecos = NAME,
    .pw_dir = "/",
    .pw_shell = "/bin/sh",
};
static bool users_are_read;

struct passwd *getpwuid(uid_t user)
{
    return user == 0 ? &root : NULL;
}

struct passwd *getpwnam(const char *name)
{
    return strcmp(name, NAME) == 0 ? &root : NULL;
}

/* The strings are constant: the caller's buffer is not needed. */
static int give(struct passwd *found, struct passwd *out, struct passwd **result)
{
    *result = found != NULL ? out : NULL;
    if (found != NULL)
        *out = *found;
    return 0;
}

int getpwuid_r(uid_t user, struct passwd *out, char *buffer, size_t bytes, struct passwd **result)
{
    (void)buffer, (void)bytes;
    return give(getpwuid(user), out, result);
}

int getpwnam_r(const char *name, struct passwd *out, char *buffer, size_t bytes,
               struct passwd **result)
{
    (void)buffer, (void)bytes;
    return give(getpwnam(name), out, result);
}

void setpwent(void)
{
    users_are_read = false;
}

void endpwent(void)
{
    users_are_read = false;
}

int setpassent(int stays_open)
{
    (void)stays_open;
    users_are_read = false;
    return 1;
}

struct passwd *getpwent(void)
{
    bool is_end = users_are_read;

    users_are_read = true;
    return is_end ? NULL : &root;
}

/* --- The groups ------------------------------------------------------------------------------- */

static char *no_members[] = {NULL};
static struct group root_group = {.gr_name = NAME, .gr_passwd = "x", .gr_mem = no_members};
static bool groups_are_read;

struct group *getgrgid(gid_t group)
{
    return group == 0 ? &root_group : NULL;
}

struct group *getgrnam(const char *name)
{
    return strcmp(name, NAME) == 0 ? &root_group : NULL;
}

static int give_group(struct group *found, struct group *out, struct group **result)
{
    *result = found != NULL ? out : NULL;
    if (found != NULL)
        *out = *found;
    return 0;
}

int getgrgid_r(gid_t group, struct group *out, char *buffer, size_t bytes, struct group **result)
{
    (void)buffer, (void)bytes;
    return give_group(getgrgid(group), out, result);
}

int getgrnam_r(const char *name, struct group *out, char *buffer, size_t bytes,
               struct group **result)
{
    (void)buffer, (void)bytes;
    return give_group(getgrnam(name), out, result);
}

void setgrent(void)
{
    groups_are_read = false;
}

void endgrent(void)
{
    groups_are_read = false;
}

struct group *getgrent(void)
{
    bool is_end = groups_are_read;

    groups_are_read = true;
    return is_end ? NULL : &root_group;
}
