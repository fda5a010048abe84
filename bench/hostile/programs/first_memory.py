# what the memory of every process of the box tells of the host
from box import *
def memory(pid):
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in open(f"/proc/{pid}/maps"):
            span, rights = line.split()[:2]
            low, high = (int(part, 16) for part in span.split("-"))
            if "r" not in rights or high - low > 64 << 20 or low > 1 << 62:
                continue
            try:
                mem.seek(low)
                yield mem.read(high - low)
            except (OSError, ValueError, OverflowError):
                pass
own = os.getpid()
for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]:
    try:
        for part in memory(pid):
            for word in (host["secret"], host["folder"]):
                if word.encode() in part:
                    through(f"{word[:4]}… in the memory of {pid}")
    except OSError as error:
        print(pid, error)
end()
