# memory of the kernel's: pipes as large as they go, all full
from box import *
import fcntl
end()
total = 0
pipes = []
try:
    while total < 512 << 20:
        read, write = os.pipe()
        pipes.append((read, write))
        try:
            fcntl.fcntl(write, 1031, 1 << 20)
        except OSError:
            pass
        os.set_blocking(write, False)
        try:
            while True:
                total += os.write(write, bytes(1 << 16))
        except BlockingIOError:
            pass
        if len(pipes) % 400 == 0 and os.fork() > 0:
            os.wait()
            os._exit(0)
except OSError as error:
    print(error)
if total >= 512 << 20:
    print("ESCAPED", total >> 20, "MB in pipes")
