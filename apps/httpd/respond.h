/*
 * Answers: appended to server_output, with what the connection is to send behind it.
 */
#ifndef HTTPD_RESPOND_H
#define HTTPD_RESPOND_H

#include "request.h"
#include "server.h"

void respond(struct connection *c, const struct request *request);

/* An answer to what is no request; the last one on this connection. */
void respond_refuse(struct connection *c, int status);

#endif
