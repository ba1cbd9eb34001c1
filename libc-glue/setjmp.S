/*
 * BSD's names of setjmp and longjmp, which leave the signal mask alone, as newlib's do.
 */
    .text
    .globl _setjmp, _longjmp
    .type _setjmp, @function
    .type _longjmp, @function
_setjmp:
    jmp setjmp
    .size _setjmp, . - _setjmp
_longjmp:
    jmp longjmp
    .size _longjmp, . - _longjmp

    .section .note.GNU-stack, "", @progbits
