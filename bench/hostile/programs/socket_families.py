# every family of sockets but the three a program needs: a network namespace does not cut them all
from box import *
import socket
for family in range(0, 48):
    if family in (1, 2, 10, 16):
        continue
    for kind in (1, 2, 3, 4, 5, 10):
        must_fail(f"family {family} kind {kind}", lambda: socket.socket(family, kind, 0).close())
    must_fail(f"pair {family}", lambda: socket.socketpair(family, 1))
for protocol in range(1, 23):
    must_fail(f"netlink {protocol}", lambda: socket.socket(16, 3, protocol).close())
for family in (2, 10):
    for protocol in (1, 2, 41, 47, 58, 255):
        must_fail(f"raw {family} {protocol}", lambda: socket.socket(family, 3, protocol).close())
end()
