/*
 * newlib's <setjmp.h>, with the signal mask.
 */
#ifndef LIBC_GLUE_SETJMP_H
#define LIBC_GLUE_SETJMP_H

#include_next <setjmp.h>

#include <sys/cdefs.h>

typedef _JBTYPE sigjmp_buf[_JBLEN + 2]; /* whether the mask was saved, the mask */

__BEGIN_DECLS

int _setjmp(jmp_buf __env);
void _longjmp(jmp_buf __env, int __value) __dead2;
void __sigsetjmp_save(sigjmp_buf __env, int __save_mask);
void siglongjmp(sigjmp_buf __env, int __value) __dead2;

__END_DECLS

#define sigsetjmp(env, save_mask) (__sigsetjmp_save((env), (save_mask)), setjmp(env))

#endif
