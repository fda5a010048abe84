# processes and threads together, begun by what cannot be forked away
from box import *
import threading
import time
end()
def bear():
    try:
        while True:
            if os.fork() == 0:
                time.sleep(100)
                os._exit(0)
    except OSError:
        time.sleep(100)
try:
    for _ in range(5000):
        threading.Thread(target=bear, daemon=True).start()
except RuntimeError:
    pass
time.sleep(100)
