/*
 * Privileged and sensitive instructions. The linked guest holds none (tools/check/privileged), and
 * no code can be added to it; so they are what an attacker has: bytes within other instructions.
 */
#include "tests/security/instructions.h"

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/physdev.h>

#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

/* Not for Xen: "emulates" for its guests, whose kernels used to hold these instructions. */
#define ON_XEN NULL
#define EMULATED_BY_XEN not_emulated

static const char *not_emulated(void)
{
    return host_is_xen() ? "Xen emulates it for its guests" : NULL;
}

/* name, text, where it runs, bytes */
#define INSTRUCTIONS(X)                                                                            \
    X(cli, "cli", EMULATED_BY_XEN, "0xfa")                                                         \
    X(sti, "sti", EMULATED_BY_XEN, "0xfb")                                                         \
    X(hlt, "hlt", ON_XEN, "0xf4")                                                                  \
    X(lgdt, "lgdt (%rsp)", ON_XEN, "0x0f, 0x01, 0x14, 0x24")                                       \
    X(lidt, "lidt (%rsp)", ON_XEN, "0x0f, 0x01, 0x1c, 0x24")                                       \
    X(lldt, "lldt %ax", ON_XEN, "0x0f, 0x00, 0xd0")                                                \
    X(ltr, "ltr %ax", ON_XEN, "0x0f, 0x00, 0xd8")                                                  \
    X(lmsw, "lmsw %ax", EMULATED_BY_XEN, "0x0f, 0x01, 0xf0")                                       \
    X(clts, "clts", EMULATED_BY_XEN, "0x0f, 0x06")                                                 \
    X(read_cr0, "mov %cr0, %rax", EMULATED_BY_XEN, "0x0f, 0x20, 0xc0")                             \
    X(write_cr0, "mov %rax, %cr0", EMULATED_BY_XEN, "0x0f, 0x22, 0xc0")                            \
    X(read_cr2, "mov %cr2, %rax", EMULATED_BY_XEN, "0x0f, 0x20, 0xd0")                             \
    X(read_cr3, "mov %cr3, %rax", EMULATED_BY_XEN, "0x0f, 0x20, 0xd8")                             \
    X(write_cr3, "mov %rax, %cr3", EMULATED_BY_XEN, "0x0f, 0x22, 0xd8")                            \
    X(read_cr4, "mov %cr4, %rax", EMULATED_BY_XEN, "0x0f, 0x20, 0xe0")                             \
    X(write_cr4, "mov %rax, %cr4", EMULATED_BY_XEN, "0x0f, 0x22, 0xe0")                            \
    X(read_cr8, "mov %cr8, %rax", EMULATED_BY_XEN, "0x44, 0x0f, 0x20, 0xc0")                       \
    X(read_dr7, "mov %db7, %rax", EMULATED_BY_XEN, "0x0f, 0x21, 0xf8")                             \
    X(write_dr7, "mov %rax, %db7", EMULATED_BY_XEN, "0x0f, 0x23, 0xf8")                            \
    X(rdmsr, "mov $0x174, %ecx; rdmsr", EMULATED_BY_XEN, "0xb9, 0x74, 1, 0, 0, 0x0f, 0x32")        \
    X(wrmsr, "mov $0x174, %ecx; wrmsr", EMULATED_BY_XEN, "0xb9, 0x74, 1, 0, 0, 0x0f, 0x30")        \
    X(rdpmc, "xor %ecx, %ecx; rdpmc", ON_XEN, "0x31, 0xc9, 0x0f, 0x33")                            \
    X(invlpg, "invlpg (%rsp)", EMULATED_BY_XEN, "0x0f, 0x01, 0x3c, 0x24")                          \
    X(invd, "invd", EMULATED_BY_XEN, "0x0f, 0x08")                                                 \
    X(wbinvd, "wbinvd", EMULATED_BY_XEN, "0x0f, 0x09")                                             \
    X(swapgs, "swapgs", ON_XEN, "0x0f, 0x01, 0xf8")                                                \
    X(sysret, "sysretq", ON_XEN, "0x48, 0x0f, 0x07")                                               \
    X(in, "in $0x60, %al", EMULATED_BY_XEN, "0xe4, 0x60")                                          \
    X(in_dx, "mov $0xcf8, %dx; in (%dx), %eax", EMULATED_BY_XEN, "0x66, 0xba, 0xf8, 0x0c, 0xed")   \
    X(insb, "mov $0x60, %dx; insb", EMULATED_BY_XEN, "0x66, 0xba, 0x60, 0, 0x6c")                  \
    X(out, "out %al, $0x80", EMULATED_BY_XEN, "0xe6, 0x80")                                        \
    X(outsb, "mov $0x80, %dx; outsb", EMULATED_BY_XEN, "0x66, 0xba, 0x80, 0, 0x6e")

/* Those that only tell what the hypervisor set up, and do so where the CPU lacks UMIP. */
#define TELLTALES(X)                                                                               \
    X(sgdt, "sgdt", needs_umip, "0x0f, 0x01, 0x44, 0x24, 0xf0")                                    \
    X(sidt, "sidt", needs_umip, "0x0f, 0x01, 0x4c, 0x24, 0xf0")                                    \
    X(sldt, "sldt %eax", needs_umip, "0x0f, 0x00, 0xc0")                                           \
    X(str, "str %eax", needs_umip, "0x0f, 0x00, 0xc8")                                             \
    X(smsw, "smsw %eax", needs_umip, "0x0f, 0x01, 0xe0")

#define CPUID_7_ECX_UMIP (1u << 2)

static const char *needs_umip(void)
{
    unsigned eax, ebx, ecx = 0, edx;

    __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
    if (!(ecx & CPUID_7_ECX_UMIP))
        return "this CPU has no UMIP (SDM volume 3, 2.5)";
    if (host_deprivileges())
        return "this KVM shows UMIP, and does not heed it";
    return host_is_xen() ? "Xen leaves UMIP off for its PV guests" : NULL;
}

/*
 * A function in whose middle, the immediate of a movabs, are these bytes; what follows returns. The
 * place has no symbol: a disassembler would start anew there.
 */
#define IMMEDIATE_OFFSET 2
#define GADGET(name, text, why_not, bytes)                                                         \
    extern uint8_t holder_##name[];                                                                \
    __asm__(".text\n\t.type holder_" #name ", @function\nholder_" #name ":\n\t"                    \
            ".byte 0x48, 0xb8\n1:\t.byte " bytes "\n\t.skip 8 - (. - 1b), 0x90\n\tret\n\t"         \
            ".size holder_" #name ", . - holder_" #name);
INSTRUCTIONS(GADGET)
TELLTALES(GADGET)

static const struct {
    const char *name;
    uint8_t *code;
} gadgets[] = {
#define ENTRY(name, text, why_not, bytes) {#name, holder_##name + IMMEDIATE_OFFSET},
    INSTRUCTIONS(ENTRY) TELLTALES(ENTRY)};

/* Looking for a PCI bus, the kernel asked for the ports. */
static void allow_ports(uint32_t level)
{
    struct physdev_set_iopl set = {.iopl = level};

    CHECK_OK(hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, address_of(&set), 0, 0, 0));
}

bool instruction_run(const char *name)
{
    for (size_t i = 0; i < sizeof(gadgets) / sizeof(gadgets[0]); i++) {
        if (strcmp(gadgets[i].name, name) == 0) {
            allow_ports(0);
            access_call(gadgets[i].code);
            return true;
        }
    }
    return false;
}

static void check_refused(void *code)
{
    struct fault fault;

    if (!host_is_xen())
        allow_ports(0);
    if (test_faults(__FILE__, __LINE__, access_call, code, TRAP_GENERAL_PROTECTION, &fault)) {
        CHECK_GE(fault.rip, (uintptr_t)code);
        CHECK_LT(fault.rip, (uintptr_t)code + 8);
    }
    if (!host_is_xen())
        allow_ports(1);
}

#define INSTRUCTION(name, text, why_not, bytes)                                                    \
    TEST_WHERE(instruction_##name, text " raises #GP and does nothing else.", why_not)             \
    {                                                                                              \
        check_refused(holder_##name + IMMEDIATE_OFFSET);                                           \
    }
INSTRUCTIONS(INSTRUCTION)
TELLTALES(INSTRUCTION)

GADGET(syscall, "syscall", NULL, "0x0f, 0x05")

static const char *needs_syscall_lost(void)
{
    return host_deprivileges() ? NULL : "a hypercall as any other (its number is checked)";
}

/* The CPU goes to the hypervisor's entry, in ring 3; nobody is to learn from it where that is. */
TEST_WHERE(instruction_syscall, "syscall that does not reach ring 0 raises #UD where it stands.",
           needs_syscall_lost)
{
    uint8_t *code = holder_syscall + IMMEDIATE_OFFSET;
    struct fault fault;

    if (test_faults(__FILE__, __LINE__, access_call, code, TRAP_INVALID_OPCODE, &fault))
        CHECK_EQ(fault.rip, (uintptr_t)code);
}

TEST(ring_is_3, "Kernel and application run in ring 3.")
{
    uint16_t cs, ss;

    __asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
    CHECK_EQ(cs & 3, 3);
    CHECK_EQ(ss & 3, 3);
}
