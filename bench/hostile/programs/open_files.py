# what whoever started this left open
from box import *
pipes = ("/control", "/stdout", "/stderr", "/report")
def reopen(path, target):
    for mode in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY):
        try:
            fd = os.open(path, mode | os.O_NONBLOCK)
            if not target.startswith(("/dev/null", "/work", "/proc")):
                os.write(fd, b"hello from inside\n")
                through(f"{target} was opened once more")
        except OSError:
            pass
for fd in range(3, 1024):
    try:
        os.fstat(fd)
        target = os.readlink(f"/proc/self/fd/{fd}")
        if target != "/dev/null":
            through(f"{fd} is {target}")
    except OSError:
        pass
for pid in [name for name in os.listdir("/proc") if name.isdigit() and name != str(os.getpid())]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        continue
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            print(pid, name, target)
            if target.startswith("/") and not target.startswith(("/dev/null", "/work", "/proc", *pipes)):
                through(f"{target} of {pid}")
            reopen(f"/proc/{pid}/fd/{name}", target)
        except OSError:
            pass
for fd in (1, 2):
    try:
        os.fchmod(fd, 0o777)
        through(f"the mode of {fd}")
    except OSError:
        reopen(f"/proc/self/fd/{fd}", str(fd))
end()
