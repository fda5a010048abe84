"""
What the programs beside this one share. A line that begins with ESCAPED says that the box did not hold. Each stops by
itself at a few hundred megabytes, so that a machine without a sandbox survives it.
"""
import ctypes
import errno
import json
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
host = json.load(open("host.json"))  # what there is to be reached outside
x64 = platform.machine() == "x86_64"
got = []


def call(numbers, *args):
    """A kernel call by its numbers on x64 and arm64: what it answered, or minus the error."""
    number = numbers[0] if x64 else numbers[1]
    if number is None:
        return -errno.ENOSYS
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return answer if answer >= 0 else -ctypes.get_errno()


def refused(what, answer):
    """A call that must not have worked."""
    name = errno.errorcode.get(-answer, answer) if answer < 0 else "OK"
    print(what, name)
    if answer >= 0:
        got.append(what)


def must_fail(what, action):
    """An action that must raise an OSError."""
    try:
        action()
    except (OSError, ValueError, PermissionError) as error:
        print(what, type(error).__name__, error)
    else:
        got.append(what)


def write_to(path, text):
    """Writes at once: what waits in a buffer fails where nobody looks."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def through(what):
    got.append(what)


def end():
    print("ESCAPED " + ", ".join(got) if got else "CONTAINED", flush=True)
