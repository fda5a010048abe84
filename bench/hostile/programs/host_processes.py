# the host's processes: by number, by /proc, by kill -1
from box import *
import signal
pid = host["pid"]
must_fail("signal", lambda: os.kill(pid, 0) if pid > 64 else os.kill(2**22 - 1, 0))
if os.path.exists(f"/proc/{pid}") and host["marker"] in open(f"/proc/{pid}/cmdline").read():
    through("its /proc")
refused("pidfd", call((434, 434), pid, 0) if pid > 64 else -1)
for name in os.listdir("/proc"):
    if name.isdigit() and host["marker"] in open(f"/proc/{name}/cmdline").read():
        through(f"seen as {name}")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end()
