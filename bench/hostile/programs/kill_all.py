# ends everything it can see, the box's first process too
from box import *
end()
for signal in (19, 15, 9):
    for pid in {-1, 1, 2, os.getppid()} - {os.getpid()}:
        try:
            os.kill(pid, signal)
        except OSError:
            pass
