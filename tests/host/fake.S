/*
 * A small image (PVH entry, no guest) that stands for any in the tests of tools/parvus: prints
 * MESSAGE on the serial port, then, as defined, says that it hears its input and ECHOes that up to ^D, SPINs, or ends leaving
 * EXIT_LINE on the exit-line port.
 */
#define SERIAL 0x3f8
#define SERIAL_LINE_STATUS 0x3fd
#define EXIT_LINE_PORT 0xe9
#define EXIT_PORT 0xf4
#define END_OF_INPUT 4

    .section .note.Xen, "a", @note
    .long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad start

    .text
    .code32
    .globl start
start:
    mov $message, %esi
    mov $SERIAL, %edx
    mov $(message_end - message), %ecx
    rep outsb
#ifdef ECHO
    mov $input_is_heard, %esi
    mov $EXIT_LINE_PORT, %edx
    mov $(input_is_heard_end - input_is_heard), %ecx
    rep outsb
echo:
    mov $SERIAL_LINE_STATUS, %edx
    in (%dx), %al
    test $1, %al
    jz echo
    mov $SERIAL, %edx
    in (%dx), %al
    cmp $END_OF_INPUT, %al
    je end
    out %al, (%dx)
    jmp echo
end:
#endif
#ifdef SPIN
    jmp .
#endif
#ifdef EXIT_LINE
    mov $exit_line, %esi
    mov $EXIT_LINE_PORT, %edx
    mov $(exit_line_end - exit_line), %ecx
    rep outsb
#endif
    mov $5, %eax
    mov $EXIT_PORT, %edx
    out %eax, (%dx)
    jmp .

message:
    .ascii MESSAGE
message_end:
#ifdef ECHO
input_is_heard:
    .ascii "console\n"
input_is_heard_end:
#endif
#ifdef EXIT_LINE
exit_line:
    .ascii EXIT_LINE
exit_line_end:
#endif
