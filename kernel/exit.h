/*
 * The ordinary end of the guest: the status reaches the host (see pv/abi.h).
 */
#ifndef KERNEL_EXIT_H
#define KERNEL_EXIT_H

_Noreturn void kernel_exit(int status); /* status & 0xff */

#endif
