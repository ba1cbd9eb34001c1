/*
 * See dma.h. Ring 3. Locks: vm_lock inside vm_map and vm_unmap.
 */
#include "kernel/dma.h"

#include "kernel/pagetable.h"
#include "kernel/vm.h"

maddr_t dma_address(const volatile void *p)
{
    uintptr_t va = (uintptr_t)p;

    return (maddr_t){pv_mfn(pagetable_frame(va)).n << PAGE_SHIFT | va % PAGE_SIZE};
}

void *dma_page(void)
{
    void *page;

    return vm_map(&page, PAGE_SIZE, VM_READ | VM_WRITE, "dma") == 0 ? page : NULL;
}

void dma_page_free(void *page)
{
    vm_unmap(page, PAGE_SIZE);
}
