# what is no file: sockets, pipes, links to what is open, to itself, to the host, to a device
from box import *
import socket
os.mkdir("out")
os.mkfifo("out/pipe")
listener = socket.socket(socket.AF_UNIX)
listener.bind("out/socket")
links = {"environ": "/proc/1/environ", "mem": "/proc/self/mem", "fd": "/proc/self/fd/1", "zero": "/dev/zero", "tty": "/dev/tty", "self": "self", "up": "../../../../../..", "secret": host["folder"] + "/secret"}
for name, to in links.items():
    os.symlink(to, f"out/link-{name}")
os.symlink("/etc", "out/folder")
must_fail("hard link to a program", lambda: os.link("/usr/bin/env", "out/hard"))
must_fail("device", lambda: os.mknod("out/device", 0o20666, os.makedev(1, 5)))
with open("out/plain", "w") as file:
    file.write("plain")
os.chmod("out/plain", 0o4777)
os.mkdir("out/closed")
os.chmod("out/closed", 0)
end()
