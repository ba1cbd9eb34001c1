"""How guests end: exit statuses, and each crash with the report that it must give.

The guests are `guest --crash NAME` (tests/guest/crash.c).
"""
import hosts
from framework import boot

CRASH = 134
OUT_OF_MEMORY = 137
TIME_OUT = 124
FEW = ["tcg-microvm", "kvm-microvm"]
ON_KVM = [*FEW, *hosts.NESTED]  # where KVM might see it before the hypervisor does


def end(name, sentence, status, console=(), where=FEW, **keywords):
    boot(f"end-{name.replace('_', '-')}", sentence, app="guest", hosts=where,
         arguments=["--crash", name], status=status, console=console,
         absent=["did not end the guest"], **keywords)


def crash(name, sentence, message, *frames, thread=r"\w+", where=FEW):
    """A panic with this message, the thread, registers, and a backtrace with these frames."""
    end(name, sentence, CRASH, [rf"^parvus: panic: {message}", rf"^  thread {thread}$", r"^  rip|^  #0",
                                *frames, r"^parvus: the guest crashed \(status 134\)$"], where)


# ---- exit statuses -------------------------------------------------------------------------------

end("return_0", "Status 0 reaches the host.", 0, where=hosts.ALL)
end("return_7", "Status 7 reaches the host.", 7, where=hosts.ALL)
end("return_255", "Status 255 reaches the host.", 255, where=hosts.ALL)
boot("end-return-134", "Status 134 of an application is not taken for a crash.", app="guest",
     hosts=FEW, arguments=["--crash", "return_134"], status=134, absent=["crashed", "panic"])
end("exit_handlers", "exit runs the handlers backwards and prints what is buffered.", 3,
    [r"^unfinished linesecond handler$", r"^first handler$"])
boot("end-exit-at-once", "_exit runs no handler.", app="guest", arguments=["--crash", "exit_at_once"],
     status=4, absent=["first handler"])
end("exit_from_thread", "Any thread may call exit.", 5)
end("exit_among_spinners", "exit ends the guest though other threads never stop.", 6)
end("main_thread_ends", "The guest ends, with 0, when its last thread does.", 0,
    [r"^the last thread$"])
end("heap_exhausted", "An application that runs out of memory is told so and goes on.", 8,
    [r"^malloc returned NULL after more than 10 blocks$"])
end("handler_allocates", "A signal's handler may allocate, whatever the only thread was in the middle of.", 9)
end("hang", "A guest that never ends is ended by the time-out.", TIME_OUT,
    [r"^parvus: time-out after 5 s \(status 124\)"], where=hosts.ONE, timeout=5)

# ---- faults --------------------------------------------------------------------------------------

end("alarm_by_default", "SIGALRM without a handler ends a program that computes, as a shell shows it.",
    142)
crash("fault_in_handler", "A fault in the handler of its signal is a crash, with the usual report.",
      r"null dereference: read of address 0x18$")
end("last_thread_ends", "The end of the last thread is the program's: handlers of exit run.", 0,
    [r"^the last thread$", r"^first handler$"])

crash("null_read", "Reading through null names it and where.",
      r"null dereference: read of address 0x10$", where=hosts.ALL)
crash("null_write", "Writing through null names it.", r"null dereference: write to address 0x10$")
crash("null_call", "Calling null names it.", r"null dereference: execute of address 0x0$")
crash("wild_write", "Writing to no memory names the address.",
      r"write to unmapped address 0x123456789000$")
crash("text_write", "Writing to code is a crash.", r"write to read-only text at 0x")
crash("rodata_write", "Writing to a constant is a crash.", r"write to read-only data at 0x")
crash("data_call", "Executing data is a crash.", r"execute of data at 0x\w+ \(image: data\)$")
crash("stack_call", "Executing the stack is a crash.", r"execute of data at 0x\w+ \(stack\)$")
crash("divide_by_zero", "Division by zero is named.", r"division by zero")
crash("undefined_instruction", "An undefined instruction is shown by its bytes.",
      r"invalid instruction at 0x\w+: 0f 0b", where=ON_KVM)
crash("non_canonical", "An address that is none is a crash.", r"general protection")
crash("hypervisor_memory", "The hypervisor's memory is no memory to the guest.",
      r"write to unmapped address 0xffff830000000000$")
crash("privileged_hlt", "A privileged instruction made at run time ends the guest, with its bytes.",
      r"privileged instruction at 0x\w+: f4 c3", where=ON_KVM)
crash("privileged_cr3", "So does one that would load a control register.",
      r"privileged instruction at 0x\w+: 0f 22 d8")
crash("fault_in_thread", "A crash names the thread, function and line.",
      r"null dereference", r"^  #0 0x\w+ access_read\+0x\w+ .*support\.c:\d+$", thread="culprit")

# ---- stacks --------------------------------------------------------------------------------------

crash("main_overflow", "A stack overflow names the main thread.",
      r"stack overflow of thread main ", r"recurse.*crash\.c:\d+$", where=hosts.ON_PARVUS)
crash("thread_overflow", "A stack overflow names the thread that it happened to.",
      r"stack overflow of thread burrower ", r"recurse.*crash\.c:\d+$", where=hosts.ON_PARVUS)
boot("end-thread-overflow-xen", "On Xen, which has no other stack to tell it on, it ends the domain.",
     app="guest", hosts=list(hosts.XEN), arguments=["--crash", "thread_overflow"], status=CRASH)
crash("guard_overstepped", "A frame larger than the guard page does not step over it.",
      r"stack overflow of thread strider ")
crash("stack_pointer_lost", "A stack pointer that points nowhere is reported on another stack.",
      r"stack pointer 0x1000 of thread main is not writable memory")
crash("stack_pointer_into_hypervisor", "Also one that points into the hypervisor.",
      r"stack pointer 0xffff830000100000 of thread main is not writable memory \(0xffff8300000fff40\)$")

# ---- what the library notices --------------------------------------------------------------------

crash("failed_assertion", "A failed assertion shows the expression, file and line.",
      r"assertion failed: one == 2 \(tests/guest/crash\.c:\d+, failed_assertion\)$",
      r"failed_assertion\+0x")
crash("call_abort", "abort is a crash, with the way to it.", r"abort\(\) called$",
      r"call_abort\+0x")
crash("stack_overrun", "A smashed canary ends the guest, and the report names the function.",
      r"stack overrun: ", r"^  #1 0x\w+ overrun_stack\+0x.*crash\.c:\d+$", where=[*FEW, "xen-dom0"])
crash("stack_overrun_in_thread", "In a thread, it is named as well.", r"stack overrun: ",
      r"overrun_stack\+0x", thread="scribbler", where=hosts.ONE)
crash("double_free", "A block freed twice is noticed.", r"heap: 0x\w+ was freed twice",
      r"double_free\+0x")
crash("heap_overrun", "A block written beyond its end is noticed when freed.", r"heap: 0x",
      r"heap_overrun\+0x")
crash("heap_overrun_by_one", "So is one byte beyond a block.", r"heap: 0x", r"heap_overrun_by_one\+0x", where=hosts.ONE)
crash("heap_overrun_into_last", "Also behind the last block.", r"heap: 0x", r"heap_overrun_into_last\+0x", where=hosts.ONE)
crash("heap_free_list", "A list of free blocks that somebody wrote to leads malloc nowhere.", r"heap: 0x",
      r"heap_free_list\+0x", where=[*hosts.ONE, "xen-dom0"])
crash("realloc_of_freed", "Making a freed block larger is noticed.", r"heap: 0x", r"realloc_of_freed\+0x",
      where=hosts.ONE)
crash("free_of_stack", "Freeing what is not from malloc is noticed.", r"heap: 0x",
      r"free_of_stack\+0x")

for family in ("printf", "snprintf", "wprintf"):
    crash(f"{family}_count", "%n is for constant formats.", r"printf: %n in a format that lies in writable memory",
          rf"{family}_count\+0x", where=hosts.ONE)
for function in ("memcpy", "sprintf"):
    crash(f"fortified_{function}", "A library function does not write beyond an object whose size is known.",
          r"buffer overflow: ", rf"fortified_{function}\+0x", where=hosts.ONE)

# ---- panics --------------------------------------------------------------------------------------

crash("panic_directly", "A panic shows its message and where it was called.",
      r"on purpose, number 42$", r"panic_here\+0x", r"panic_directly\+0x")
crash("panic_in_event", "A panic in an event handler is reported as well.",
      r"on purpose, number 42$", r"panic_here\+0x")
crash("fault_in_event", "So is a fault in one.", r"null dereference: write to address 0x10$")

# ---- guests that break their own interface -------------------------------------------------------

end("no_trap_handlers", "An exception without a handler ends the guest; the hypervisor says which.",
    CRASH, [r"^parvus: the guest crashed: exception 6 ", r"no_trap_handlers\+0x"], where=ON_KVM)
end("iret_to_user", "A return to guest user mode is refused by ending the guest.", CRASH,
    [r"^parvus: the guest crashed: iret to guest user mode"])
end("iret_to_nowhere", "A return to an address that is none ends the guest.", CRASH,
    [r"^parvus: .*(general protection|crashed)"])
end("event_callback_lost", "An event callback that points nowhere ends the guest.", CRASH,
    [r"^parvus: panic: null dereference: execute of address 0x1000$"])

# ---- the boot ------------------------------------------------------------------------------------

boot("end-no-memory-at-boot", "A boot for which memory does not suffice is out of memory.",
     app="guest", options=["--append", "stack=1G"], status=OUT_OF_MEMORY,
     console=[r"^parvus: panic: no memory for a main stack of 1073741824 bytes$",
              r"^parvus: the guest ran out of memory: try a larger --mem \(status 137\)$"])
boot("end-stack-range", "A stack size out of range is refused by name.", app="guest",
     options=["--append", "stack=100"], status=CRASH,
     console=[r"^parvus: panic: stack=100 bytes: out of range$"])
