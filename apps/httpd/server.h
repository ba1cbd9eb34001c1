/*
 * Connections: one loop over epoll serves all of them, without threads. A connection that waits for
 * its next request holds no buffer.
 */
#ifndef HTTPD_SERVER_H
#define HTTPD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "buffer.h"

/* What a connection waits for; each has a time-out of its own (server.c). */
enum connection_state {
    STATE_IDLE,     /* its next request */
    STATE_READING,  /* the rest of a request's head */
    STATE_SENDING,  /* room for the rest of an answer */
    STATE_DRAINING, /* the client's end, after ours: its last words must not make TCP drop ours */
    STATES,
};

struct connection {
    TAILQ_ENTRY(connection) link; /* of its state's list, the longest there first */
    uint64_t since_ms;            /* in this state, or of the last progress in it */
    int fd;
    int file; /* whose bytes follow the output, or -1 */
    uint64_t file_at, file_left;
    uint64_t skip; /* bytes of a request's content that nobody wants */
    char *input;   /* what was received and is not answered yet, or NULL */
    size_t input_bytes;
    char *output; /* what TCP had no room for, or NULL */
    size_t output_at, output_bytes;
    uint8_t state;
    bool is_last;       /* nothing follows this answer */
    bool is_abrupt;     /* ... and the client may still be sending */
    bool waits_to_send; /* epoll looks for EPOLLOUT, not EPOLLIN */
    bool is_closed;
};

struct server_counts {
    uint64_t accepted, open, requests, bytes_sent;
    uint64_t answers[6]; /* by the first digit of their status */
    uint64_t timed_out;  /* but for those that were idle */
    uint64_t evicted;    /* idle ones closed to make room */
    uint64_t paused;     /* times that accepting had to wait for descriptors or memory */
    uint64_t failed;     /* connections that ended in an error */
};
extern struct server_counts server_counts;

extern uint64_t server_now_ms; /* monotonic, when the loop last looked */
extern uint64_t server_started_ms;
extern struct buffer server_output; /* the answers of this turn */

/* Listens on the port, by IPv4 and IPv6, whichever there is. 0, or -1 after a message. */
int server_listen(uint16_t port);
/* Until server_stop() is called, by a signal handler for example. 0, or 1 after a message. */
int server_run(void);
void server_stop(void);

/* seconds: 0 leaves the usual one. */
void server_set_idle_timeout(unsigned seconds);

#endif
