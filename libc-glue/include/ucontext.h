/*
 * Contexts: those that signal handlers get. getcontext and its kin are not here.
 */
#ifndef _UCONTEXT_H
#define _UCONTEXT_H

#include <sys/ucontext.h>

#endif
