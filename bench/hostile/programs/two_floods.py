# many writers, a byte at a time, on both streams
from box import *
end()
for number in range(16):
    if os.fork() == 0:
        while True:
            os.write(1 + number % 2, b"x")
while True:
    os.write(1, b"x" * 4096)
