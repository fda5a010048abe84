# what hangs on a file is not in its size
from box import *
total = 0
try:
    for number in range(400):
        name = f"f{number}"
        open(name, "w").close()
        for index in range(50):
            os.setxattr(name, f"user.{index}", bytes(65_000))
            total += 65_000
except OSError as error:
    print(error)
print(total >> 20, "MB of attributes")
if total > 256 << 20:
    through("attributes without end")
end()
