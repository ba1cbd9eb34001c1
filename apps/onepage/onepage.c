/*
 * The smallest keep-alive HTTP server: one page, one thread, poll(). Not for use but for measuring:
 * what one request costs in the system below. Plain POSIX: it runs on Parvus and on Linux.
 *
 * usage: onepage [PORT]       default: 80
 *
 * A client sends one request and waits for its answer: what comes is answered when it ends in an
 * empty line.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64u
#define END "\r\n\r\n"
#define PAGE                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\nHello world\n"

static struct pollfd polls[1 + CONNECTIONS];
static nfds_t nr_polls = 1;

/* False: the connection is over. */
static bool serve(unsigned i)
{
    static char data[4096];
    ssize_t bytes = recv(polls[i].fd, data, sizeof(data), 0);

    if (bytes <= 0)
        return bytes < 0 && errno == EAGAIN;
    if (bytes < 4 || memcmp(data + bytes - 4, END, 4) != 0)
        return true;
    return send(polls[i].fd, PAGE, strlen(PAGE), MSG_NOSIGNAL) == (ssize_t)strlen(PAGE);
}

static void accept_one(void)
{
    int fd = accept4(polls[0].fd, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (nr_polls > CONNECTIONS) {
        close(fd);
        return;
    }
    polls[nr_polls++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void end(unsigned i)
{
    close(polls[i].fd);
    nr_polls--;
    polls[i] = polls[nr_polls];
}

int main(int argc, char **argv)
{
    unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : 80;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    if (argc > 2 || port == 0 || port > 65535) {
        fprintf(stderr, "usage: onepage [PORT]\n");
        return 2;
    }
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0) {
        fprintf(stderr, "onepage: port %lu: %s\n", port, strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    polls[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    printf("onepage: port %lu\n", port);
    fflush(stdout);
    while (poll(polls, nr_polls, -1) >= 0 || errno == EINTR) {
        /* Backwards: whoever ends is replaced by one that had its turn. */
        for (unsigned i = (unsigned)nr_polls; i-- > 1;)
            if (polls[i].revents != 0 && !serve(i))
                end(i);
        if (polls[0].revents != 0)
            accept_one();
    }
    perror("onepage: poll");
    return 1;
}
