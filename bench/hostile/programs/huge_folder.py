# more names in one folder than anybody wants to look at
from box import *
os.mkdir("out")
os.chdir("out")
try:
    for number in range(30_000):
        os.close(os.open(f"{number:0200}", os.O_CREAT))
except OSError as error:
    print(error)
end()
