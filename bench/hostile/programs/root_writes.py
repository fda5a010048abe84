# everything that is not the disk is read-only, the root itself and /dev too
from box import *
for folder in ("/", "/dev", "/etc", "/opt", "/usr", "/usr/local", "/bin", "/lib", "/proc", "/dev/pts", "/dev/mqueue"):
    for make in ("file", "folder"):
        path = os.path.join(folder, "hostile")
        must_fail(f"a {make} in {folder}", (lambda: open(path, "x").close()) if make == "file" else (lambda: os.mkdir(path)))
must_fail("a link in /", lambda: os.symlink("/work", "/hostile"))
must_fail("a device's name", lambda: os.rename("/dev/null", "/dev/gone"))
end()
