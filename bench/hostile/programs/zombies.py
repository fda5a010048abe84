# children that have ended and are not waited for still count
from box import *
import time
end()
count = 0
try:
    while count < 5000:
        if os.fork() == 0:
            os._exit(0)
        count += 1
except OSError:
    pass
time.sleep(5)
