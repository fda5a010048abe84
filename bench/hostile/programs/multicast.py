# datagrams to everybody
from box import *
import socket
end()
for address in ("224.0.0.251", "255.255.255.255", "239.255.255.250"):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.sendto(b"x", (address, 5353))
            print("sent to", address)
    except OSError as error:
        print(address, error)
