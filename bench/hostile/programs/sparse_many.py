# many files that are large and hold nothing, to be brought back
from box import *
os.mkdir("out")
for number in range(200):
    with open(f"out/{number:03}", "wb") as file:
        file.truncate(100 << 20)
end()
