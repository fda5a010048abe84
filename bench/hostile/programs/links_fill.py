# names without files: hard links, symbolic links and folders count as well
from box import *
os.chdir("/dev/shm")
end()
try:
    open("one", "w").close()
    for number in range(200_000):
        os.link("one", f"l{number}")
        os.symlink("one", f"s{number}")
        os.mkdir(f"d{number}")
except OSError as error:
    print(error)
else:
    print("ESCAPED 600,000 names")
