# closes all it was given, and stays
from box import *
import time
end()
for fd in range(0, 256):
    try:
        os.close(fd)
    except OSError:
        pass
time.sleep(1000)
