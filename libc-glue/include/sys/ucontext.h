/*
 * What a handler with SA_SIGINFO gets as its third argument. The registers are there when a fault
 * raised the signal, and what the handler changes counts; else they are 0.
 */
#ifndef _SYS_UCONTEXT_H
#define _SYS_UCONTEXT_H

#include <sys/signal.h>

/* Indices of gregs, as Linux has them. */
enum {
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_R12,
    REG_R13,
    REG_R14,
    REG_R15,
    REG_RDI,
    REG_RSI,
    REG_RBP,
    REG_RBX,
    REG_RDX,
    REG_RAX,
    REG_RCX,
    REG_RSP,
    REG_RIP,
    REG_EFL,
    REG_ERR,
    REG_TRAPNO,
    REG_CR2
};

#define NGREG 21

typedef long long greg_t;
typedef greg_t gregset_t[NGREG];

typedef struct {
    gregset_t gregs;
} mcontext_t;

typedef struct ucontext_t {
    unsigned long uc_flags;
    struct ucontext_t *uc_link;
    stack_t uc_stack;
    mcontext_t uc_mcontext;
    sigset_t uc_sigmask;
} ucontext_t;

#endif
