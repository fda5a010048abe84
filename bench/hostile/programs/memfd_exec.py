# a program that is in no folder runs, under the same filter and the same user
from box import *
fd = os.memfd_create("x")
os.write(fd, open("/bin/sh", "rb").read())
script = "(id -u; grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status) > answer"
child = os.fork()
if child == 0:
    os.execve(f"/proc/self/fd/{fd}", ["sh", "-c", script], {"PATH": "/usr/bin:/bin"})
os.waitpid(child, 0)
said = open("answer").read().split()
if sorted(said) != sorted(["1000", "CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]):
    through(" ".join(said))
end()
