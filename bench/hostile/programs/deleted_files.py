# fills the disk with files that no name leads to
from box import *
end()
files = []
try:
    while len(files) < 64:
        fd = os.open("/tmp/x", os.O_CREAT | os.O_WRONLY)
        os.unlink("/tmp/x")
        files.append(fd)
        os.write(fd, bytes(4 << 20))
except OSError as error:
    print(error)
import time
time.sleep(0.3)
if len(files) > 32:
    print("ESCAPED", len(files) * 4, "MB")
