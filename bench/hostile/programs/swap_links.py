# a daemon that swaps a file, a link and a folder all the time, while its files are collected
from box import *
os.makedirs("out/a")
open("out/file", "w").write("plain")
os.symlink(host["folder"] + "/secret", "link")
os.symlink(host["folder"], "out/b")
open("out/a/secret", "w").write("plain")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        exchange = lambda a, b: call((316, 276), -100, ctypes.c_char_p(a), -100, ctypes.c_char_p(b), 2)
        while True:
            exchange(b"out/file", b"link")
            exchange(b"out/a", b"out/b")
    os._exit(0)
os.wait()
end()
