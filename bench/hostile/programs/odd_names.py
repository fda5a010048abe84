# names that a log, a shell, a page or a path would stumble over
from box import *
os.makedirs(b"out/sub")
names = [b"new\nline", b"tab\there", b"\x1b[2J", b"\xff\xfe", b"-rf", b"..\\..\\up", b"a" * 255, b"...", b" ", "‮txt.exe".encode(), "a\u2028b".encode(), b"__proto__", b"constructor", b"CON", b"x;rm", b"$(id)", b"%2e%2e%2fup", b"<img>", b"\xc0\xae\xc0\xae"]
for name in names:
    with open(b"out/sub/" + name, "w") as file:
        file.write("x")
end()
