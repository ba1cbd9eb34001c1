/*
 * Split virtqueues (virtio 1.2, section 2.7).
 *
 * Callers: kernel/virtio/virtio.c for the life of a queue, drivers for the rest. Ring 3. Lock: the
 * driver's, see vq.h. The device runs at the same time on a processor of its own, so each barrier
 * names what it pairs with on that side.
 *
 * What the device could have changed is never read back: which descriptors a buffer has and how
 * much the device may write stands in slots[], which the device is not told of.
 */
#include "kernel/virtio/vq.h"

#include <errno.h>

#include "kernel/dma.h"
#include "kernel/vm.h"

/*
 * A full barrier. Not __atomic_thread_fence: gcc makes a locked instruction of that, which is as
 * good on a processor, but QEMU's TCG with one processor makes plain loads and stores of it, beside
 * which its devices run (MFENCE is a barrier there as of QEMU 8.1).
 */
static inline void barrier(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

struct vq_descriptor { /* 2.7.5 */
    uint64_t address;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};
#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_WRITE 2
#define DESCRIPTOR_INDIRECT 4

struct vq_available { /* 2.7.6 */
    uint16_t flags;
    uint16_t index;
    uint16_t ring[]; /* behind it used_event: whose use brings an interrupt */
};
#define AVAILABLE_NO_INTERRUPT 1

struct vq_used { /* 2.7.8 */
    uint16_t flags;
    uint16_t index;
    struct {
        uint32_t id;
        uint32_t bytes;
    } ring[]; /* behind it avail_event: whose publication wants a notification */
};
#define USED_NO_NOTIFY 1

#define NO_TABLE UINT16_MAX

/* Of a descriptor; most of it is used in the first one of a buffer only. */
struct vq_slot {
    void *cookie;
    uint32_t writable_bytes;
    uint16_t next;  /* in the chain of its buffer, or of the free ones */
    uint16_t last;  /* of the buffer's chain */
    uint16_t count; /* descriptors of the buffer; 0: this is no buffer that the device has */
    uint16_t table; /* the buffer's indirect table, or NO_TABLE */
};

struct vq_table {
    struct vq_descriptor entries[VQ_TABLE_ENTRIES];
};

/* A buffer of up to so many descriptors is worth no table: the device would have to fetch it. */
#define DIRECT_DESCRIPTORS 3

/* --- Life ----------------------------------------------------------------------------------- */

/* Room for a part of the queue's memory that lies in one page. */
static size_t carve(size_t *used, size_t bytes, size_t align)
{
    size_t at = (*used + align - 1) & -align;

    if (at / PAGE_SIZE != (at + bytes - 1) / PAGE_SIZE)
        at = (at + PAGE_SIZE - 1) & -PAGE_SIZE;
    *used = at + bytes;
    return at;
}

static uint16_t *used_event(struct vq *vq)
{
    return &vq->available->ring[vq->entries];
}

static volatile uint16_t *avail_event(struct vq *vq)
{
    return (volatile uint16_t *)&vq->used->ring[vq->entries];
}

static void link_free(struct vq *vq, unsigned nr_tables)
{
    for (unsigned i = 0; i < vq->entries; i++)
        vq->slots[i].next = (uint16_t)(i + 1);
    vq->nr_free = (uint16_t)vq->entries;
    /* Free tables are linked by their first word. */
    vq->free_table = nr_tables ? 0 : NO_TABLE;
    for (unsigned i = 0; i < nr_tables; i++)
        vq->tables[i].entries[0].address = i + 1 < nr_tables ? i + 1 : NO_TABLE;
}

int vq_create(struct vq *vq, const struct vq_options *options)
{
    unsigned entries = options->entries;
    size_t bytes = 0;

    *vq = (struct vq){
        .entries = entries, .nr_tables = options->tables, .event_idx = options->event_idx};
    if (!entries || entries > VQ_MAX_ENTRIES || (entries & (entries - 1)) ||
        options->tables > VQ_MAX_ENTRIES)
        return -EINVAL;
    size_t descriptors = carve(&bytes, entries * sizeof(struct vq_descriptor), 16);
    size_t available = carve(&bytes, sizeof(struct vq_available) + (entries + 1) * 2, 2);
    size_t used = carve(&bytes, sizeof(struct vq_used) + entries * 8 + 2, 4);
    size_t tables = bytes;
    for (unsigned i = 0; i < options->tables; i++) {
        size_t at = carve(&bytes, sizeof(struct vq_table), sizeof(struct vq_table));
        if (i == 0)
            tables = at;
    }
    size_t slots = (bytes + sizeof(uint64_t) - 1) & -sizeof(uint64_t);

    bytes = slots + entries * sizeof(struct vq_slot);
    vq->memory_bytes = (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
    int error = vm_map(&vq->memory, vq->memory_bytes, VM_READ | VM_WRITE, "virtqueue");
    if (error)
        return error;
    char *memory = vq->memory;
    vq->descriptors = (struct vq_descriptor *)(memory + descriptors);
    vq->available = (struct vq_available *)(memory + available);
    vq->used = (volatile struct vq_used *)(memory + used);
    vq->tables = (struct vq_table *)(memory + tables);
    vq->slots = (struct vq_slot *)(memory + slots);
    vq->descriptors_at = dma_address(memory + descriptors);
    vq->available_at = dma_address(memory + available);
    vq->used_at = dma_address(memory + used);
    link_free(vq, options->tables);
    vq_silence(vq);
    return 0;
}

void vq_destroy(struct vq *vq)
{
    if (vq->memory)
        vm_unmap(vq->memory, vq->memory_bytes);
    *vq = (struct vq){0};
}

/* --- Supplying buffers (2.7.13) --------------------------------------------------------------- */

/* How many descriptors the pieces need at most. -EINVAL: an empty piece, or absurdly many. */
static int count_pages(const struct vq_piece *pieces, unsigned nr)
{
    size_t pages = 0;

    for (unsigned i = 0; i < nr; i++) {
        if (!pieces[i].bytes || pieces[i].bytes > VQ_MAX_ENTRIES * PAGE_SIZE)
            return -EINVAL;
        pages +=
            ((uintptr_t)pieces[i].data % PAGE_SIZE + pieces[i].bytes + PAGE_SIZE - 1) / PAGE_SIZE;
    }
    return pages <= VQ_MAX_ENTRIES ? (int)pages : -EINVAL;
}

/* The part of a piece up to the end of its page. */
static size_t to_page_end(const char *at, size_t bytes)
{
    size_t room = PAGE_SIZE - (uintptr_t)at % PAGE_SIZE;

    return bytes < room ? bytes : room;
}

/* Where descriptors go: the free ones of the table, or an indirect table one after another. */
struct place {
    struct vq_descriptor *table;
    const struct vq_slot *links; /* NULL: in an indirect table */
    uint16_t at;                 /* the next one to fill */
    struct vq_descriptor *last;  /* filled last, or NULL */
    uint16_t last_at;
    unsigned count;
};

/* Every descriptor points to the next place; end() takes that back from the last. */
static inline void put(struct place *p, maddr_t address, size_t bytes, uint16_t flags)
{
    struct vq_descriptor *d = &p->table[p->at];

    p->last = d;
    p->last_at = p->at;
    p->at = p->links ? p->links[p->at].next : (uint16_t)(p->at + 1);
    p->count++;
    d->address = address.n;
    d->bytes = (uint32_t)bytes;
    d->flags = flags | DESCRIPTOR_NEXT;
    d->next = p->at;
}

static inline void end(struct place *p)
{
    p->last->flags &= (uint16_t)~DESCRIPTOR_NEXT;
}

/* A piece that crosses pages. Those that are neighbours for the machine, too, need one descriptor.
 */
static __attribute__((noinline)) void put_pages(struct place *p, const char *at, size_t left,
                                                uint16_t flags)
{
    struct vq_descriptor *before = NULL;

    do {
        size_t bytes = to_page_end(at, left);
        maddr_t address = dma_address(at);

        if (before && before->address + before->bytes == address.n)
            before->bytes += (uint32_t)bytes;
        else
            put(p, address, bytes, flags);
        before = p->last;
        at += bytes;
        left -= bytes;
    } while (left);
}

static inline uint32_t put_pieces(struct place *p, const struct vq_piece *pieces, unsigned nr,
                                  uint16_t flags)
{
    size_t total = 0;

    for (unsigned i = 0; i < nr; i++) {
        const char *at = pieces[i].data;

        total += pieces[i].bytes;
        if (to_page_end(at, pieces[i].bytes) == pieces[i].bytes)
            put(p, dma_address(at), pieces[i].bytes, flags);
        else
            put_pages(p, at, pieces[i].bytes, flags);
    }
    return (uint32_t)total;
}

static uint16_t take_table(struct vq *vq)
{
    uint16_t table = vq->free_table;

    vq->free_table = (uint16_t)vq->tables[table].entries[0].address;
    return table;
}

static void free_table(struct vq *vq, uint16_t table)
{
    vq->tables[table].entries[0].address = vq->free_table;
    vq->free_table = table;
}

/* The buffer's descriptors are filled: into the available ring. */
static inline void hand_out(struct vq *vq, uint16_t head, struct vq_slot slot)
{
    vq->slots[head] = slot;
    vq->nr_outstanding++;
    vq->available->ring[vq->added++ & (vq->entries - 1)] = head;
}

/* 2.7.5.3: the one descriptor that stands for the table. */
static void put_table(struct vq *vq, uint16_t head, uint16_t table, unsigned count)
{
    vq->descriptors[head] = (struct vq_descriptor){
        .address = dma_address(&vq->tables[table]).n,
        .bytes = count * (uint32_t)sizeof(struct vq_descriptor),
        .flags = DESCRIPTOR_INDIRECT,
    };
}

/* Most buffers are one piece that lies in one page: one descriptor. */
static inline bool is_in_a_page(const struct vq_piece *piece)
{
    return piece->bytes - 1 < PAGE_SIZE && to_page_end(piece->data, piece->bytes) == piece->bytes;
}

static int add_one(struct vq *vq, const struct vq_piece *piece, bool is_in, void *cookie)
{
    uint16_t head = vq->free_first;
    struct vq_slot *slot = &vq->slots[head];

    if (!vq->nr_free)
        return -EAGAIN;
    vq->descriptors[head] = (struct vq_descriptor){
        .address = dma_address(piece->data).n,
        .bytes = (uint32_t)piece->bytes,
        .flags = is_in ? DESCRIPTOR_WRITE : 0,
    };
    vq->free_first = slot->next;
    vq->nr_free--;
    hand_out(vq, head,
             (struct vq_slot){.cookie = cookie,
                              .writable_bytes = is_in ? (uint32_t)piece->bytes : 0,
                              .next = slot->next,
                              .last = head,
                              .count = 1,
                              .table = NO_TABLE});
    return 0;
}

int vq_add(struct vq *vq, const struct vq_piece *pieces, unsigned nr_out, unsigned nr_in,
           void *cookie)
{
    if (vq->lie)
        return -EIO;
    if (nr_out + nr_in == 1 && is_in_a_page(pieces))
        return add_one(vq, pieces, nr_in, cookie);
    int most = count_pages(pieces, nr_out + nr_in);

    if (most <= 0)
        return -EINVAL;
    uint16_t head = vq->free_first, table = NO_TABLE;
    struct place p = {.table = vq->descriptors, .links = vq->slots, .at = head};

    if (most > DIRECT_DESCRIPTORS && most <= VQ_TABLE_ENTRIES && vq->free_table != NO_TABLE &&
        vq->nr_free) {
        table = take_table(vq);
        p = (struct place){.table = vq->tables[table].entries};
    } else if ((unsigned)most > vq->nr_free) {
        return (unsigned)most > vq->entries ? -EINVAL : -EAGAIN;
    }
    put_pieces(&p, pieces, nr_out, 0);
    uint32_t writable_bytes = put_pieces(&p, pieces + nr_out, nr_in, DESCRIPTOR_WRITE);
    end(&p);
    if (table != NO_TABLE) {
        put_table(vq, head, table, p.count);
        p = (struct place){.at = vq->slots[head].next, .last_at = head, .count = 1};
    }
    vq->free_first = p.at;
    vq->nr_free -= (uint16_t)p.count;
    hand_out(vq, head,
             (struct vq_slot){
                 .cookie = cookie,
                 .writable_bytes = writable_bytes,
                 .next = vq->slots[head].next,
                 .last = p.last_at,
                 .count = (uint16_t)p.count,
                 .table = table,
             });
    return 0;
}

int vq_add_ranges(struct vq *vq, const struct vq_range *ranges, unsigned nr_in, void *cookie)
{
    uint16_t head = vq->free_first;
    struct place p = {.table = vq->descriptors, .links = vq->slots, .at = head};
    size_t total = 0;

    if (vq->lie)
        return -EIO;
    if (!nr_in || nr_in > vq->entries)
        return -EINVAL;
    if (nr_in > vq->nr_free)
        return -EAGAIN;
    for (unsigned i = 0; i < nr_in; i++) {
        put(&p, ranges[i].start, ranges[i].bytes, DESCRIPTOR_WRITE);
        total += ranges[i].bytes;
    }
    end(&p);
    vq->free_first = p.at;
    vq->nr_free -= (uint16_t)p.count;
    hand_out(vq, head,
             (struct vq_slot){.cookie = cookie,
                              .writable_bytes = (uint32_t)total,
                              .next = vq->slots[head].next,
                              .last = p.last_at,
                              .count = (uint16_t)p.count,
                              .table = NO_TABLE});
    return 0;
}

/* Whether `event` is among the indices from `from` up to but not including `to` (2.7.10). */
static bool includes(uint16_t from, uint16_t to, uint16_t event)
{
    return (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

bool vq_publish(struct vq *vq)
{
    uint16_t from = vq->published, to = vq->added;

    if (from == to)
        return false;
    vq->published = to;
    /* 2.7.13.3: descriptors and ring entries before the index. Pairs with the device's reading the
     * index before them. */
    __atomic_store_n(&vq->available->index, to, __ATOMIC_RELEASE);
    /* 2.7.13.4: the index before we look whether it wants to know. Pairs with the device's barrier
     * between asking to know and looking at the index a last time. */
    barrier();
    if (vq->event_idx)
        return includes(from, to, *avail_event(vq));
    return !(vq->used->flags & USED_NO_NOTIFY);
}

/* --- Used buffers (2.7.14) -------------------------------------------------------------------- */

static int lied(struct vq *vq, const char *lie, uint32_t value)
{
    vq->lie = lie;
    vq->lie_value = value;
    return -EIO;
}

/* The buffer's descriptors are free again. */
static void free_buffer(struct vq *vq, uint16_t head)
{
    struct vq_slot *slot = &vq->slots[head];

    if (slot->table != NO_TABLE)
        free_table(vq, slot->table);
    vq->slots[slot->last].next = vq->free_first;
    vq->free_first = head;
    vq->nr_free += slot->count;
    vq->nr_outstanding--;
    slot->count = 0;
}

static int look(struct vq *vq)
{
    /* The index before the entries that it announces. Pairs with the device's writing them before
     * the index (2.7.8.2). */
    uint16_t index = __atomic_load_n(&vq->used->index, __ATOMIC_ACQUIRE);

    if ((uint16_t)(index - vq->reaped) > vq->nr_outstanding)
        return lied(vq, "used index", index);
    vq->used_seen = index;
    return index == vq->reaped ? -EAGAIN : 0;
}

int vq_reap(struct vq *vq, void **cookie, uint32_t *written)
{
    if (vq->lie)
        return -EIO;
    if (vq->reaped == vq->used_seen) {
        int error = look(vq);
        if (error)
            return error;
    }
    /* Each is read once: the device could change it between a check and a use. */
    unsigned at = vq->reaped & (vq->entries - 1);
    uint32_t id = vq->used->ring[at].id, bytes = vq->used->ring[at].bytes;

    if (id >= vq->entries || !vq->slots[id].count)
        return lied(vq, "used id", id);
    if (bytes > vq->slots[id].writable_bytes) {
        /* Nobody looks at the length of a buffer that is only read, so some devices err there. */
        if (vq->slots[id].writable_bytes)
            return lied(vq, "used length", bytes);
        bytes = 0;
    }
    vq->reaped++;
    *cookie = vq->slots[id].cookie;
    *written = bytes;
    free_buffer(vq, (uint16_t)id);
    return 0;
}

bool vq_has_used(const struct vq *vq)
{
    return vq->used->index != vq->reaped;
}

bool vq_listen(struct vq *vq)
{
    if (vq->event_idx)
        *(volatile uint16_t *)used_event(vq) = vq->reaped;
    else
        *(volatile uint16_t *)&vq->available->flags = 0;
    /* We ask before we look a last time. Pairs with the device's barrier between its used index
     * and looking whether we ask. */
    barrier();
    return !vq->lie && !vq_has_used(vq);
}

void vq_silence(struct vq *vq)
{
    /* With event_idx: an index that was used already comes round in 2^16 buffers. */
    if (vq->event_idx)
        *(volatile uint16_t *)used_event(vq) = (uint16_t)(vq->reaped - 1);
    else
        *(volatile uint16_t *)&vq->available->flags = AVAILABLE_NO_INTERRUPT;
}

bool vq_take_back(struct vq *vq, void **cookie)
{
    for (unsigned head = 0; vq->nr_outstanding; head++) {
        if (!vq->slots[head].count)
            continue;
        *cookie = vq->slots[head].cookie;
        free_buffer(vq, (uint16_t)head);
        return true;
    }
    return false;
}
