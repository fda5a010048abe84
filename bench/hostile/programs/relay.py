# hands itself on to a new process number all the time, so that whoever kills one misses the next
from box import *
import time
end()
if os.fork() > 0:
    time.sleep(100)
while True:
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    time.sleep(0.001)
