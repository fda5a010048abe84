# the ports of the host under all the names of this machine
from box import *
import socket
for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost", "::1", "::ffff:127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    def connect():
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            sock.connect((address, host["port"]))
    must_fail(address, connect)
must_fail("its socket in a folder", lambda: socket.socket(socket.AF_UNIX).connect(host["folder"] + "/socket"))
must_fail("its abstract socket", lambda: socket.socket(socket.AF_UNIX).connect("\0" + host["marker"]))
end()
