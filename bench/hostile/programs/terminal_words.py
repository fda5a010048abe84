# words into a terminal's mouth, and terminals that are not ours
from box import *
import fcntl
for name in ("tty", "console", "tty0", "tty1", "ttyS0", "pts/0", "vcs", "vcsa1"):
    must_fail(name, lambda: os.open(f"/dev/{name}", os.O_RDWR))
for fd in (0, 1, 2):
    for request in (0x5412, 0x541C, 0x541D, 0x540E):
        must_fail(f"ioctl {request:x} on {fd}", lambda: fcntl.ioctl(fd, request, b"x"))
main, other = os.openpty()
must_fail("typing on an own terminal", lambda: fcntl.ioctl(other, 0x5412, b"x"))
must_fail("typing with the upper half of the argument set", lambda: libc.ioctl(other, ctypes.c_ulong(0x100005412), b"x") == 0 or (_ for _ in ()).throw(OSError(ctypes.get_errno())))
end()
