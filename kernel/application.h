/*
 * What the kernel's main thread calls: supplied by libc-glue (constructors, stdio, main, exit).
 * Its return value is the exit status.
 */
#ifndef KERNEL_APPLICATION_H
#define KERNEL_APPLICATION_H

int application_main(int argc, char **argv, char **envp);

#endif
