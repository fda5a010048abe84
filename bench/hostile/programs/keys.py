# the kernel's keyrings are not in a namespace
from box import *
text = lambda word: ctypes.c_char_p(word.encode())
refused("request_key", call((249, 218), text("user"), text("x"), text(""), -3))
for operation in (1, 3, 6, 11, 17, 22, 29):
    refused(f"keyctl {operation}", call((250, 219), operation, -3, 0, 0, 0))
refused("add_key", call((248, 217), text("keyring"), text("x"), 0, 0, -4))
for name in ("keys", "key-users"):
    try:
        if open(f"/proc/{name}").read():
            through(f"/proc/{name}")
    except OSError as error:
        print(name, error)
end()
