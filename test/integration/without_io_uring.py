"""Runs a program under a seccomp filter that refuses io_uring, as container runtimes do.

    without_io_uring.py all|enter EPERM|ENOSYS PROGRAM [ARGUMENT…]

`enter` lets rings be made and refuses only their use: a gateway that trusts a successful set-up would
hang there."""

import ctypes
import errno
import os
import struct
import sys

# The numbers are the same on every architecture.
SETUP, ENTER, REGISTER = 425, 426, 427
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
RETURN_ALLOW, RETURN_ERRNO = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def install(calls, error):
    code = instruction(LOAD_WORD, 0)  # the system call's number
    for position, call in enumerate(calls):
        code += instruction(JUMP_IF_EQUAL, call, if_true=len(calls) - position)
    code += instruction(RETURN, RETURN_ALLOW) + instruction(RETURN, RETURN_ERRNO | error)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    which, error_name, *command = sys.argv[1:]
    install((SETUP, ENTER, REGISTER) if which == "all" else (ENTER,), getattr(errno, error_name))
    os.execv(command[0], command)
