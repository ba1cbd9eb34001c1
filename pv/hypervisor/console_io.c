/* console_io: xen.h, CONSOLEIO_*. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/continuation.h"
#include "pv/hypervisor/work.h"

#define CHUNK_BYTES 128

static int64_t write(uint64_t count, uint64_t buffer)
{
    char chunk[CHUNK_BYTES];

    for (uint64_t done = 0; done < count; done += CHUNK_BYTES) {
        uint64_t bytes = count - done < CHUNK_BYTES ? count - done : CHUNK_BYTES;

        if (done && work.left < 0) {
            const uint64_t args[] = {CONSOLEIO_write, count - done, buffer + done};

            return continuation_make(__HYPERVISOR_console_io, args, 3);
        }
        work.left -= CHUNK_BYTES; /* a byte may take as long as a page-table entry, or longer */
        if (guest_read(chunk, buffer + done, bytes))
            return -EFAULT;
        console_write(chunk, bytes);
    }
    return 0;
}

int64_t hypercall_console_io(uint64_t command, uint64_t count, uint64_t buffer)
{
    char chunk[CHUNK_BYTES];

    count = (uint32_t)count;
    work_begin(WORK_SLICE);
    if (!guest_range_is_ok(buffer, count))
        return -EFAULT;
    switch ((uint32_t)command) {
    case CONSOLEIO_write:
        return write(count, buffer);
    case CONSOLEIO_read: {
        size_t bytes = console_read(chunk, count < CHUNK_BYTES ? count : CHUNK_BYTES);

        return guest_write(buffer, chunk, bytes) ? -EFAULT : (int64_t)bytes;
    }
    default:
        return -ENOSYS;
    }
}
