# memory that is in no process: files without a name
from box import *
end()
files = []
block = bytes(1 << 20)
while len(files) < 32:
    fd = os.memfd_create("x")
    files.append(fd)
    for _ in range(8):
        os.write(fd, block)
print("ESCAPED", len(files) * 8, "MB of memfd")
