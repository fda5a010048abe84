# System V segments, filled and let go
from box import *
end()
libc.shmat.restype = ctypes.c_void_p
for count in range(20):
    key = libc.shmget(0, 16 << 20, 0o1600)
    if key < 0:
        break
    at = libc.shmat(key, None, 0)
    ctypes.memset(at, 1, 16 << 20)
    libc.shmdt(ctypes.c_void_p(at))
else:
    print("ESCAPED 320 MB of segments")
