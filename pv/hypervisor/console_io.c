/* console_io: xen.h, CONSOLEIO_*. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/work.h"

#define CHUNK_BYTES 128

int64_t hypercall_console_io(uint64_t command, uint64_t count, uint64_t buffer)
{
    char chunk[CHUNK_BYTES];

    count = (uint32_t)count;
    work_begin();
    if (!guest_range_is_ok(buffer, count))
        return -EFAULT;
    switch ((uint32_t)command) {
    case CONSOLEIO_write:
        for (uint64_t done = 0; done < count; done += CHUNK_BYTES) {
            uint64_t bytes = count - done < CHUNK_BYTES ? count - done : CHUNK_BYTES;

            if (work_take(bytes)) /* a byte may take as long as a page-table entry, or longer */
                return -E2BIG;
            if (guest_read(chunk, buffer + done, bytes))
                return -EFAULT;
            console_write(chunk, bytes);
        }
        return 0;
    case CONSOLEIO_read: {
        size_t bytes = console_read(chunk, count < CHUNK_BYTES ? count : CHUNK_BYTES);

        return guest_write(buffer, chunk, bytes) ? -EFAULT : (int64_t)bytes;
    }
    default:
        return -ENOSYS;
    }
}
