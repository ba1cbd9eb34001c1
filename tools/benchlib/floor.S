/*
 * The least that boots: a Multiboot 1 kernel that writes one letter to the serial port and ends
 * QEMU. What starting QEMU itself and its firmware cost, to compare others with.
 */
    .text
    .code32
header:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long header, header, 0, 0, start
    .globl start
start:
    mov $0x3f8, %edx
    mov $'H', %al
    out %al, (%dx)
    mov $0xf4, %edx
    out %eax, (%dx)
    jmp .
