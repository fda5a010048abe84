# every way up and out of the folder
from box import *
secret = host["folder"] + "/secret"
root = os.open("/", os.O_RDONLY)
os.chdir("/")
for _ in range(64):
    os.chdir("..")
roots = ["", "/proc/1/root", "/proc/2/root", "/proc/self/root", "/proc/1/cwd/../../..", "/proc/self/task/1/root", "/dev/fd/../../..", "/usr/../..", "/dev/shm/../../.."]
for way in roots:
    must_fail(way or "/", lambda: open(way + secret).close())
must_fail("openat", lambda: os.open(".." * 1 + secret, os.O_RDONLY, dir_fd=root))
for path in ("/usr/bin/env", "/usr/lib", "/etc/passwd", "/etc/resolv.conf", "/opt", "/proc/sys", "/dev", "/"):
    if os.access(path, os.W_OK):
        through(f"writable {path}")
for path in ("/usr/bin/env", "/etc/passwd"):
    must_fail(f"truncate {path}", lambda: os.truncate(path, 0))
    must_fail(f"rename {path}", lambda: os.rename(path, path + "x"))
    must_fail(f"chmod {path}", lambda: os.chmod(path, 0o777))
    must_fail(f"utime {path}", lambda: os.utime(path))
end()
