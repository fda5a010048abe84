# ptrace in all its forms, and the memory of the box's first processes over /proc
from box import *
refused("traceme", call((101, 117), 0, 0, 0, 0))
for pid in (1, 2, os.getppid()):
    refused(f"seize {pid}", call((101, 117), 0x4206, pid, 0, 0))
    refused(f"attach {pid}", call((101, 117), 16, pid, 0, 0))
buffer = ctypes.create_string_buffer(64)
local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
for pid in (1, os.getppid()):
    refused(f"vm read {pid}", call((310, 270), pid, local, 1, local, 1, 0))
    refused(f"vm write {pid}", call((311, 271), pid, local, 1, local, 1, 0))
pidfd = call((434, 434), os.getppid(), 0)
for fd in range(8):
    refused(f"take fd {fd}", call((438, 438), pidfd, fd, 0))
refused("kcmp", call((312, 272), 1, os.getpid(), 0, 0, 0))
end()
