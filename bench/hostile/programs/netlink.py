# the one kind of netlink that is open may be asked, and may change nothing
from box import *
import socket
import struct
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
def ask(kind, body):
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, 0x605, 1, 0) + body)
    answer = sock.recv(65536)
    return struct.unpack_from("=i", answer, 16)[0]
refused("a new link", ask(16, struct.pack("=BBHiII", 0, 0, 0, 0, 1, 0xFFFFFFFF) + struct.pack("=HH8s", 12, 3, b"dummy0\0\0")))
refused("a new address", ask(20, struct.pack("=BBBBI", 2, 24, 0, 0, 1) + struct.pack("=HH4s", 8, 2, bytes([10, 0, 0, 9]))))
refused("a new route", ask(24, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1)))
refused("lo down", ask(16, struct.pack("=BBHiII", 0, 0, 0, 1, 0, 1)))
end()
