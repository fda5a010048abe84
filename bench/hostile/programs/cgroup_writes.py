# a way out of the account, if its files were anywhere
from box import *
import glob
for pattern in ("/sys/fs/cgroup/**/cgroup.procs", "/proc/*/root/sys/fs/cgroup/*", "/proc/*/cwd/../../../sys/fs/cgroup/*"):
    for path in glob.glob(pattern, recursive=True):
        through(path)
text = lambda word: ctypes.c_char_p(word.encode())
refused("mount cgroup2", call((165, 40), text("none"), text("/tmp"), text("cgroup2"), 0, 0))
refused("mount cgroup", call((165, 40), text("none"), text("/tmp"), text("cgroup"), 0, text("memory")))
refused("clone into a cgroup", call((435, 435), (ctypes.c_uint64 * 11)(0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 3), 88))
end()
