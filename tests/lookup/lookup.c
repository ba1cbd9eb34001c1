/*
 * Prints the addresses of names, as getaddrinfo has them.
 *
 * usage: lookup NAME...
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static void look_up(const char *name, int family)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(name, NULL, &hints, &list);

    if (error != 0) {
        printf("%s: %s\n", name, gai_strerror(error));
        return;
    }
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
            0)
            printf("%s: %s\n", name, text);
    }
    freeaddrinfo(list);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        look_up(argv[i], AF_INET);
        look_up(argv[i], AF_INET6);
    }
    return 0;
}
