# space that is promised and not written, in every folder that can be written
from box import *
end()
total = 0
for folder in ("/work", "/tmp", "/dev/shm", "/box"):
    for number in range(8):
        try:
            fd = os.open(f"{folder}/f{number}", os.O_CREAT | os.O_WRONLY)
            os.posix_fallocate(fd, 0, 8 << 20)
            total += 8
        except OSError as error:
            print(folder, error)
            break
if total > 64:
    print("ESCAPED", total, "MB")
