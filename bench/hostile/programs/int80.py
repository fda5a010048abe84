# 32-bit calls have other numbers: through int 0x80 the filter must not be blind
from box import *
import mmap
import signal
if not x64:
    end()
    raise SystemExit
child = os.fork()
if child == 0:
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    entry = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    os._exit(42 if entry() == os.getpid() else 0)
status = os.waitpid(child, 0)[1]
print("ended with", status)
if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) == 42:
    through("a 32-bit call")
refused("x32 call", call((0x40000000 + 39, None)))
end()
