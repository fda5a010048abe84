# every call that changes who one is, and the file capability that would
from box import *
refused("setuid", call((105, 146), 0))
refused("setgid", call((106, 144), 0))
refused("setresuid", call((117, 147), 0, 0, 0))
refused("setfsuid", call((122, 151), 0) - 1000 if call((122, 151), 0) != 1000 else -1)
groups = (ctypes.c_int * 1)(0)
refused("setgroups", call((116, 159), 1, groups))
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
full = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
refused("capset", call((126, 91), head, full))
open("tool", "w").write("#!/bin/sh\n")
capability = b"\x01\x00\x00\x02" + b"\xff\xff\xff\xff" * 2 + b"\x00" * 8
must_fail("file capability", lambda: os.setxattr("tool", "security.capability", capability))
must_fail("chown to root", lambda: os.chown("tool", 0, 0))
if os.getuid() == 0 or os.geteuid() == 0:
    through("root inside")
end()
