/*
 * Random numbers for the stack; the rest of the interface is lwIP's (net/arch/cc.h, net/hooks.h).
 */
#ifndef NET_RANDOM_H
#define NET_RANDOM_H

/* Boot only. Warns where the processor has no source of random numbers. */
void net_random_init(void);

#endif
