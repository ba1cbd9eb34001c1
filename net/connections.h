/*
 * Connections by peer and ports. Private to net/. Everything under net_lock.
 *
 * lwIP looks for the connection of a segment in one list of all, which costs a segment 17,000
 * instructions where there are 1,000 connections. Here it is found by a hash.
 */
#ifndef NET_CONNECTIONS_H
#define NET_CONNECTIONS_H

struct net_socket;
struct netif;
struct packet;
struct pbuf;

/* Its connection is established. */
void connections_add(struct net_socket *s);
/* lwIP's connection is no longer its own. Does nothing if it was not added. */
void connections_remove(struct net_socket *s);

/* Hands a received packet to lwIP, as netif->input does. */
void connections_input(struct netif *netif, struct pbuf *p, const struct packet *packet);

#endif
