/*
 * gethostbyname and its like, on getaddrinfo and getnameinfo.
 *
 * Ordinary calls from threads; they sleep while a name server is asked. Source: Linux's
 * gethostbyname(3).
 */
#include <netdb.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MAX_ADDRESSES 16

static _Thread_local int last_error;

int *__h_errno_location(void)
{
    return &last_error;
}

const char *hstrerror(int error)
{
    switch (error) {
    case NETDB_SUCCESS:
        return "Resolver Error 0 (no error)";
    case HOST_NOT_FOUND:
        return "Unknown host";
    case TRY_AGAIN:
        return "Host name lookup failure";
    case NO_RECOVERY:
        return "Unknown server error";
    case NO_DATA:
        return "No address associated with name";
    default:
        return "Unknown resolver error";
    }
}

void herror(const char *prefix)
{
    if (prefix != NULL && prefix[0] != '\0')
        fprintf(stderr, "%s: ", prefix);
    fprintf(stderr, "%s\n", hstrerror(h_errno));
}

/* Each thread's result, all of it. */
static _Thread_local struct {
    struct hostent entry;
    char name[NI_MAXHOST];
    char *aliases[1];
    char *pointers[MAX_ADDRESSES + 1];
    struct in6_addr addresses[MAX_ADDRESSES];
} result;

static struct hostent *fail(int error)
{
    h_errno = error == EAI_AGAIN        ? TRY_AGAIN
              : error == EAI_NONAME     ? HOST_NOT_FOUND
              : error == EAI_ADDRFAMILY ? NO_DATA
                                        : NO_RECOVERY;
    return NULL;
}

static void begin(const char *name, int family)
{
    memset(&result, 0, sizeof(result));
    snprintf(result.name, sizeof(result.name), "%s", name);
    result.entry = (struct hostent){
        .h_name = result.name,
        .h_aliases = result.aliases,
        .h_addrtype = family,
        .h_length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr),
        .h_addr_list = result.pointers,
    };
}

static void add(const void *address, int i)
{
    memcpy(&result.addresses[i], address, (size_t)result.entry.h_length);
    result.pointers[i] = (char *)&result.addresses[i];
}

struct hostent *gethostbyname2(const char *name, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
    int count = 0, error;

    if (family != AF_INET && family != AF_INET6)
        return fail(EAI_FAMILY);
    error = getaddrinfo(name, NULL, &hints, &list);
    if (error != 0)
        return fail(error);
    begin(name, family);
    for (const struct addrinfo *i = list; i != NULL && count < MAX_ADDRESSES; i = i->ai_next) {
        if (family == AF_INET)
            add(&((struct sockaddr_in *)i->ai_addr)->sin_addr, count++);
        else
            add(&((struct sockaddr_in6 *)i->ai_addr)->sin6_addr, count++);
    }
    freeaddrinfo(list);
    return &result.entry;
}

struct hostent *gethostbyname(const char *name)
{
    return gethostbyname2(name, AF_INET);
}

struct hostent *gethostbyaddr(const void *address, socklen_t bytes, int family)
{
    struct sockaddr_in6 from = {.sin6_family = AF_INET6};
    struct sockaddr_in *from4 = (struct sockaddr_in *)&from;
    char name[NI_MAXHOST];

    if (family == AF_INET && bytes == sizeof(from4->sin_addr)) {
        from4->sin_family = AF_INET;
        memcpy(&from4->sin_addr, address, bytes);
    } else if (family == AF_INET6 && bytes == sizeof(from.sin6_addr)) {
        memcpy(&from.sin6_addr, address, bytes);
    } else {
        return fail(EAI_FAMILY);
    }
    int error = getnameinfo((struct sockaddr *)&from, sizeof(from), name, sizeof(name), NULL, 0,
                            NI_NAMEREQD);
    if (error != 0)
        return fail(error);
    begin(name, family);
    add(address, 0);
    return &result.entry;
}
