# Read by gdb: prints what it sees of every thread as one line of JSON, then obeys one word a line: "step" or "quit".
import json
import sys

import gdb

NAMES = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"] + ["r%d" % n for n in range(8, 16)] + ["rip"]
MASK = (1 << 64) - 1


def look(thread):
    thread.switch()
    frame = gdb.newest_frame()
    registers = [int(frame.read_register(name)) & MASK for name in NAMES]
    addresses = []
    while frame is not None:
        # Frames of inlined functions, and of those that ended with a jump, are no frames of the machine.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            addresses.append(frame.pc())
        frame = frame.older()
    return {"thread": thread.ptid[1], "registers": [str(value) for value in registers], "addresses": addresses}


gdb.execute("set backtrace past-main on")
gdb.execute("set scheduler-locking on")
threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.ptid[1])
print("SEEN " + json.dumps([look(thread) for thread in threads]), flush=True)
for line in sys.stdin:
    if line.strip() != "step":
        break
    threads[-1].switch()
    gdb.execute("stepi", to_string=True)
    print("SEEN " + json.dumps([look(threads[-1])]), flush=True)
gdb.execute("detach")
