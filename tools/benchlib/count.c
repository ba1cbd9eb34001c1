/*
 * A plugin of QEMU's TCG: how often the instruction at each address executed, in a file that others
 * map while the machine runs (counts.py). Time plays no part, so that a guest may be counted while
 * it serves clients outside; a repeated string instruction counts once for each repetition, as it
 * does under -icount. One virtual CPU only.
 *
 * usage: -plugin count.so,out=FILE          FILE: TABLE_BYTES of zeroes
 *
 * Debian has no qemu-plugin.h: this is the part of version 1 of the interface that we use
 * (docs/devel/tcg-plugins.rst and include/qemu/qemu-plugin.h of QEMU 7.2).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void qemu_plugin_tb_fn(uint64_t id, struct qemu_plugin_tb *tb);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_plugin_tb_fn *fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
                                                enum qemu_plugin_op op, void *counter,
                                                uint64_t add);

/* A hash table with open addressing, which searches from the first half on. The last entry takes
 * what finds no place. */
#define ENTRIES (1u << 18)
#define TABLE_BYTES (ENTRIES * sizeof(struct entry))

struct entry {
    uint64_t address, times;
};

static struct entry *table;

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static struct entry *entry_of(uint64_t address)
{
    uint64_t at = address * UINT64_C(0x9e3779b97f4a7c15) >> 47;

    for (; at < ENTRIES - 1; at++) {
        if (table[at].address == 0)
            table[at].address = address;
        if (table[at].address == address)
            return &table[at];
    }
    return &table[ENTRIES - 1];
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        qemu_plugin_register_vcpu_insn_exec_inline(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, &entry_of(qemu_plugin_insn_vaddr(insn))->times, 1);
    }
}

__attribute__((visibility("default"))) int
qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    int file;

    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || (file = open(argv[0] + 4, O_RDWR)) < 0) {
        fprintf(stderr, "count: no file to count in; usage: -plugin count.so,out=FILE\n");
        return -1;
    }
    table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (table == MAP_FAILED) {
        perror("count: cannot map the file");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
