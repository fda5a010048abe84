# addresses that are not the usual way out: metadata, link-local, multicast, broadcast, the other version
from box import *
import socket
end()
for family, address in [(2, "169.254.169.254"), (2, "10.0.0.1"), (2, "192.168.0.1"), (2, "100.64.0.1"), (10, "2001:db8::1"), (10, "fd00:ec2::254"), (10, "::ffff:203.0.113.7")]:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            sock.connect((address, 80))
            print("ESCAPED", address)
    except OSError as error:
        print(address, error)
