/*
 * Messages of the protocol 9P2000.L, one at a time: a request is begun, its fields are put, it is
 * sent, the reply's fields are taken, it is ended.
 *
 *     p9_begin(P9_TREADLINK);  p9_put(fid, 4);
 *     long result = p9_send(NULL);
 *     if (result == 0) { bytes = p9_take(2); ... }
 *     p9_end();
 *
 * The host is not trusted more than a device: a reply that is too short reads as zeroes, and then
 * p9_end says -EIO.
 * Callers: p9_fs.c, in threads; sleep. Between begin and end the session is the caller's.
 * Source: github.com/chaos/diod, protocol.md (9P2000.L); the man pages of Plan 9, section 5.
 */
#ifndef LIBC_GLUE_P9_CLIENT_H
#define LIBC_GLUE_P9_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Types of requests; a reply's is one more. */
enum {
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TATTACH = 104,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
};

#define P9_QID_BYTES 13 /* type[1] version[4] path[8] */
#define P9_QID_FOLDER 0x80
#define P9_QID_LINK 0x02

/* Data beside a message's fields, which is not copied. */
struct p9_data {
    const void *out; /* of a write */
    void *in;        /* of a read: `bytes` is room for it */
    size_t bytes;
    size_t got; /* what came of a read */
};

/* Connects, at the first call. The folder's own fid. -ENODEV: there is nothing to connect to;
 * -EPROTO: what is there speaks otherwise. */
int p9_connect(uint32_t *out_root);
/* The most that one message carries as data. */
size_t p9_max_data(void);
/* A number for a fid that is not in use. */
uint32_t p9_new_fid(void);

void p9_begin(uint8_t type);
void p9_put(uint64_t value, unsigned bytes);
void p9_put_text(const char *text, size_t bytes);
/* 0, or the host's error as a negative errno. */
int p9_send(struct p9_data *data);
uint64_t p9_take(unsigned bytes);
/* The next bytes of the reply; fewer are there than wanted: NULL. */
const char *p9_take_bytes(size_t bytes);
/* -EIO: the reply was too short for what was taken. */
int p9_end(void);

/* Both at once, of a reply that tells nothing: the first error. */
int p9_finish(void);

#endif
