# what the host is called, and where things lie on it
from box import *
import socket
said = socket.gethostname() + open("/proc/sys/kernel/hostname").read() + str(os.environ) + open("/etc/hosts").read()
words = [host["secret"], host["folder"]] + ([host["name"]] if len(host["name"]) > 5 else [])
if any(word in said for word in words):
    through("its name")
refused("sethostname", call((170, 161), ctypes.c_char_p(b"hostile"), 7))
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    for file in ("environ", "cmdline", "comm", "cgroup"):
        try:
            text = open(f"/proc/{pid}/{file}", "rb").read().decode("latin1")
        except OSError:
            continue
        if any(word in text for word in words):
            through(f"/proc/{pid}/{file}")
end()
