/*
 * The loop: accepting, receiving, sending, time-outs.
 *
 * A turn of a connection: what was received goes into one shared buffer, behind what is left from
 * before; all complete requests in it are answered into another one (server_output), which is sent
 * at once. Only what is left over, on either side, is kept with the connection.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "request.h"
#include "respond.h"

#define INPUT_BYTES (16u << 10)   /* more than a head */
#define OUTPUT_ENOUGH (32u << 10) /* answers to pipelined requests are sent from here on */
#define OUTPUT_KEEP (256u << 10)
#define FILE_BYTES (64u << 10)
#define FILE_PARTS 8u /* sent in one turn; then others have theirs */
#define EVENTS 256
#define BACKLOG 1024
#define ACCEPT_AT_ONCE 64
#define PAUSE_MS 200
#define DRAIN_BYTES (256u << 10)

_Static_assert(INPUT_BYTES > REQUEST_HEAD_MAX, "a head must fit");

struct server_counts server_counts;
uint64_t server_now_ms, server_started_ms;
struct buffer server_output;

static uint64_t timeouts_ms[STATES] = {[STATE_IDLE] = 60000,
                                       [STATE_READING] = 15000,
                                       [STATE_SENDING] = 60000,
                                       [STATE_DRAINING] = 2000};

static TAILQ_HEAD(connections, connection) states[STATES], closed;
static int epoll = -1, listeners[2], nr_listeners;
static uint64_t paused_until_ms; /* accepting; 0: it goes on */
static volatile bool must_stop;
static char input[INPUT_BYTES], file_part[FILE_BYTES];

void server_set_idle_timeout(unsigned seconds)
{
    if (seconds > 0)
        timeouts_ms[STATE_IDLE] = seconds * UINT64_C(1000);
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- States ----------------------------------------------------------------------------------- */

static void set_state(struct connection *c, enum connection_state state)
{
    TAILQ_REMOVE(&states[c->state], c, link);
    c->state = (uint8_t)state;
    c->since_ms = server_now_ms;
    TAILQ_INSERT_TAIL(&states[state], c, link);
}

static void close_connection(struct connection *c)
{
    TAILQ_REMOVE(&states[c->state], c, link);
    close(c->fd); /* leaves the epoll, too */
    if (c->file >= 0)
        close(c->file);
    free(c->input);
    free(c->output);
    c->is_closed = true;
    server_counts.open--;
    /* Events of this turn may still name it. */
    TAILQ_INSERT_TAIL(&closed, c, link);
}

static void free_closed(void)
{
    struct connection *c;

    while ((c = TAILQ_FIRST(&closed)) != NULL) {
        TAILQ_REMOVE(&closed, c, link);
        free(c);
    }
}

static void fail(struct connection *c)
{
    server_counts.failed++;
    close_connection(c);
}

/* Whether epoll tells when there is room, or when something comes. */
static void wait_to_send(struct connection *c, bool wanted)
{
    struct epoll_event event = {.events = wanted ? EPOLLOUT : EPOLLIN, .data.ptr = c};

    if (c->waits_to_send == wanted)
        return;
    c->waits_to_send = wanted;
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* --- Sending ---------------------------------------------------------------------------------- */

enum progress { DONE, BLOCKED, BROKEN };

static enum progress send_bytes(struct connection *c, const char *data, size_t bytes, bool more,
                                size_t *sent)
{
    *sent = 0;
    while (*sent < bytes) {
        ssize_t part =
            send(c->fd, data + *sent, bytes - *sent, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? BLOCKED : BROKEN;
        *sent += (size_t)part;
        server_counts.bytes_sent += (uint64_t)part;
    }
    return DONE;
}

/* The answers of this turn; what is left over stays with the connection. */
static enum progress send_output(struct connection *c)
{
    size_t sent;
    enum progress progress = server_output.failed ? BROKEN : DONE;

    if (progress == DONE)
        progress = send_bytes(c, server_output.data, server_output.used, c->file >= 0, &sent);
    if (progress == BLOCKED) {
        size_t left = server_output.used - sent;

        c->output = malloc(left);
        if (c->output == NULL) {
            progress = BROKEN;
        } else {
            memcpy(c->output, server_output.data + sent, left);
            c->output_at = 0;
            c->output_bytes = left;
        }
    }
    buffer_reset(&server_output, OUTPUT_KEEP);
    return progress;
}

static enum progress send_rest(struct connection *c)
{
    size_t sent;
    enum progress progress = send_bytes(c, c->output + c->output_at, c->output_bytes - c->output_at,
                                        c->file >= 0, &sent);

    c->output_at += sent;
    if (progress == DONE) {
        free(c->output);
        c->output = NULL;
    }
    return progress;
}

static enum progress send_file(struct connection *c)
{
    for (unsigned i = 0; c->file_left > 0; i++) {
        size_t bytes = c->file_left < FILE_BYTES ? (size_t)c->file_left : FILE_BYTES, sent;

        if (i == FILE_PARTS)
            return BLOCKED; /* there is room, so its turn comes soon */
        ssize_t got = pread(c->file, file_part, bytes, (off_t)c->file_at);
        if (got <= 0)
            return BROKEN; /* the file has shrunk: the length that was promised cannot be kept */
        enum progress progress =
            send_bytes(c, file_part, (size_t)got, (uint64_t)got < c->file_left, &sent);
        c->file_at += sent;
        c->file_left -= sent;
        if (progress != DONE)
            return progress;
    }
    close(c->file);
    c->file = -1;
    return DONE;
}

/* Everything that is still to be sent. */
static enum progress send_all(struct connection *c)
{
    enum progress progress = server_output.used > 0 ? send_output(c) : DONE;

    if (progress == DONE && c->output != NULL)
        progress = send_rest(c);
    if (progress == DONE && c->file >= 0)
        progress = send_file(c);
    return progress;
}

/* --- Receiving and answering ------------------------------------------------------------------ */

/* Passes over content; what remains of *data is the next request. */
static void skip_content(struct connection *c, const char **data, size_t *bytes)
{
    size_t part = c->skip < *bytes ? (size_t)c->skip : *bytes;

    c->skip -= part;
    *data += part;
    *bytes -= part;
}

/* Answers complete requests until there is enough to send. Returns the bytes used up. */
static size_t answer_requests(struct connection *c, const char *data, size_t bytes)
{
    static struct request request;
    const char *at = data;

    while (bytes > 0 && !c->is_last && c->file < 0 && server_output.used < OUTPUT_ENOUGH) {
        if (c->skip > 0) {
            skip_content(c, &at, &bytes);
            continue;
        }
        int used = request_parse(at, bytes, &request);
        if (used == 0)
            break;
        if (used < 0) {
            respond_refuse(c, -used);
            break;
        }
        at += used;
        bytes -= (size_t)used;
        respond(c, &request);
    }
    return (size_t)(at - data);
}

static bool keep_input(struct connection *c, const char *data, size_t bytes)
{
    char *copy = NULL;

    if (bytes > 0) {
        copy = malloc(bytes);
        if (copy == NULL)
            return false;
        memcpy(copy, data, bytes);
    }
    free(c->input);
    c->input = copy;
    c->input_bytes = bytes;
    return true;
}

/* The last answer is out. */
static void finish(struct connection *c)
{
    if (!c->is_abrupt) {
        close_connection(c);
        return;
    }
    shutdown(c->fd, SHUT_WR);
    keep_input(c, NULL, 0);
    wait_to_send(c, false);
    c->skip = DRAIN_BYTES;
    set_state(c, STATE_DRAINING);
}

/* What was received, all of it in `input`. */
static void serve(struct connection *c, size_t bytes)
{
    const char *data = input;
    enum progress progress;

    do {
        size_t used = answer_requests(c, data, bytes);

        data += used;
        bytes -= used;
        progress = send_all(c);
        if (used == 0)
            break;
    } while (progress == DONE && bytes > 0 && !c->is_last);
    if (progress == BROKEN || (!c->is_last && !keep_input(c, data, bytes))) {
        fail(c);
    } else if (progress == BLOCKED) {
        wait_to_send(c, true);
        set_state(c, STATE_SENDING);
    } else if (c->is_last) {
        finish(c);
    } else if (bytes > 0) {
        if (c->state != STATE_READING) /* the time-out is for the whole head */
            set_state(c, STATE_READING);
    } else {
        set_state(c, STATE_IDLE);
    }
}

/* Takes what the connection kept into `input`. */
static size_t take_input(struct connection *c)
{
    size_t bytes = c->input_bytes;

    if (bytes > 0)
        memcpy(input, c->input, bytes);
    free(c->input);
    c->input = NULL;
    c->input_bytes = 0;
    return bytes;
}

static void drain(struct connection *c)
{
    ssize_t got = recv(c->fd, input, sizeof(input), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || (uint64_t)got >= c->skip)
        close_connection(c);
    else
        c->skip -= (uint64_t)got;
}

static void receive(struct connection *c)
{
    size_t before = c->input_bytes;
    /* Without copying what is kept, should nothing have come. */
    ssize_t got = recv(c->fd, input + before, sizeof(input) - before, 0);

    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got < 0) {
        fail(c);
    } else if (got == 0) { /* the client is done: maybe in the midst of a request */
        close_connection(c);
    } else {
        take_input(c);
        serve(c, before + (size_t)got);
    }
}

static void go_on_sending(struct connection *c)
{
    enum progress progress = send_all(c);

    if (progress == BROKEN) {
        fail(c);
    } else if (progress == BLOCKED) {
        set_state(c, STATE_SENDING); /* there was progress */
    } else if (c->is_last) {
        finish(c);
    } else {
        wait_to_send(c, false);
        set_state(c, STATE_IDLE);
        serve(c, take_input(c)); /* requests that came with the one just answered */
    }
}

/* --- Accepting -------------------------------------------------------------------------------- */

static void watch_listeners(bool wanted)
{
    for (int i = 0; i < nr_listeners; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[i]};

        epoll_ctl(epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners[i], &event);
    }
}

/* No descriptor or memory for another connection: the one that has been idle longest goes, or
 * whoever wants to connect waits a moment. */
static void make_room(void)
{
    struct connection *c = TAILQ_FIRST(&states[STATE_IDLE]);

    if (c != NULL) {
        server_counts.evicted++;
        close_connection(c);
    } else if (paused_until_ms == 0) {
        server_counts.paused++;
        paused_until_ms = server_now_ms + PAUSE_MS;
        watch_listeners(false);
    }
}

static bool add_connection(int fd)
{
    struct connection *c = calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    if (c == NULL || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(c);
        close(fd);
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* answers are sent whole */
    c->fd = fd;
    c->file = -1;
    c->since_ms = server_now_ms;
    c->state = STATE_IDLE;
    TAILQ_INSERT_TAIL(&states[STATE_IDLE], c, link);
    server_counts.accepted++;
    server_counts.open++;
    return true;
}

static void accept_connections(int listener)
{
    for (int i = 0; i < ACCEPT_AT_ONCE && paused_until_ms == 0; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            if (!add_connection(fd))
                make_room();
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            make_room();
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        /* Anything else is about the one connection that was to be accepted (accept(2)). */
    }
}

static int listen_on(const struct sockaddr *address, socklen_t bytes)
{
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, address, bytes) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    listeners[nr_listeners++] = fd;
    return 0;
}

int server_listen(uint16_t port)
{
    struct sockaddr_in by_ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 by_ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (listen_on((struct sockaddr *)&by_ipv4, sizeof(by_ipv4)) != 0 && errno == EADDRINUSE) {
        fprintf(stderr, "httpd: port %u is in use\n", port);
        return -1;
    }
    int error = nr_listeners == 0 ? errno : 0;
    listen_on((struct sockaddr *)&by_ipv6, sizeof(by_ipv6));
    if (nr_listeners > 0)
        return 0;
    fprintf(stderr, "httpd: cannot listen on port %u: %s\n", port, strerror(error));
    return -1;
}

/* --- Time ------------------------------------------------------------------------------------- */

static void time_out(struct connection *c)
{
    if (c->state == STATE_READING) {
        server_counts.timed_out++;
        respond_refuse(c, 408);
        if (send_all(c) != DONE)
            close_connection(c);
        else
            finish(c);
    } else {
        server_counts.timed_out += c->state == STATE_SENDING;
        close_connection(c);
    }
}

/* Returns the milliseconds until the next connection may time out, or -1. */
static int check_timeouts(void)
{
    uint64_t next_ms = UINT64_MAX;

    for (int state = 0; state < STATES; state++) {
        struct connection *c;

        while ((c = TAILQ_FIRST(&states[state])) != NULL &&
               server_now_ms - c->since_ms >= timeouts_ms[state])
            time_out(c);
        if (c != NULL && c->since_ms + timeouts_ms[state] < next_ms)
            next_ms = c->since_ms + timeouts_ms[state];
    }
    if (paused_until_ms != 0 && server_now_ms >= paused_until_ms) {
        paused_until_ms = 0;
        watch_listeners(true);
    }
    if (paused_until_ms != 0 && paused_until_ms < next_ms)
        next_ms = paused_until_ms;
    return next_ms == UINT64_MAX ? -1 : (int)(next_ms - server_now_ms) + 1;
}

/* --- The loop --------------------------------------------------------------------------------- */

void server_stop(void)
{
    must_stop = true;
}

static void handle(const struct epoll_event *event)
{
    int *listener = event->data.ptr;

    if (listener >= listeners && listener < listeners + nr_listeners) {
        accept_connections(*listener);
        return;
    }
    struct connection *c = event->data.ptr;
    if (c->is_closed)
        return;
    if (c->state == STATE_DRAINING)
        drain(c);
    else if (c->waits_to_send)
        go_on_sending(c);
    else
        receive(c);
}

int server_run(void)
{
    static struct epoll_event events[EVENTS];

    for (int state = 0; state < STATES; state++)
        TAILQ_INIT(&states[state]);
    TAILQ_INIT(&closed);
    server_started_ms = server_now_ms = monotonic_ms();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        perror("httpd: epoll_create1");
        return 1;
    }
    watch_listeners(true);
    while (!must_stop) {
        int count = epoll_wait(epoll, events, EVENTS, check_timeouts());

        server_now_ms = monotonic_ms();
        if (count < 0 && errno != EINTR) {
            perror("httpd: epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++)
            handle(&events[i]);
        free_closed();
    }
    return 0;
}
