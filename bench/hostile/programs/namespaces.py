# new namespaces one flag at a time, by every call that makes them, and the first process's own
from box import *
flags = {"time": 0x80, "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}
for name, flag in flags.items():
    refused(f"unshare {name}", call((272, 97), flag))
    arguments = (ctypes.c_uint64 * 11)(flag, 0, 0, 0, 17)
    answer = call((435, 435), arguments, 88)
    if answer == 0:
        os._exit(0)
    refused(f"clone3 {name}", answer)
    if name == "time":
        continue  # clone cannot ask for it
    answer = call((56, 220), flag | 17, 0, 0, 0, 0)
    if answer == 0:
        os._exit(0)
    refused(f"clone {name}", answer)
for name in os.listdir("/proc/1/ns") if os.access("/proc/1/ns", os.R_OK) else []:
    try:
        fd = os.open(f"/proc/1/ns/{name}", os.O_RDONLY)
    except OSError:
        continue
    refused(f"setns {name}", call((308, 268), fd, 0))
refused("setns of a process", call((308, 268), call((434, 434), 1, 0), 0x10000000))
end()
