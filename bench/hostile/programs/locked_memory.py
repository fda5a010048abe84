# pages that are locked, shared and huge
from box import *
import mmap
end()
kept = []
for _ in range(20):
    for flags in (0x2000 | 0x21, 0x21, 0x22 | 0x8000):
        try:
            block = mmap.mmap(-1, 8 << 20, flags=flags)
        except OSError:
            continue
        block.write(bytes(8 << 20))
        kept.append(block)
print("ESCAPED", len(kept) * 8, "MB")
