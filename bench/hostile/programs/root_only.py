# in a folder that the box shows: what only root may read, and what anybody might write
from box import *
folder = host["folder"] + "/shown"
if open(folder + "/plain").read() != "plain":
    through("nothing, because nothing is shown")
if host["root"]:
    must_fail("a file of root's", lambda: open(folder + "/root-only").close())
    must_fail("a folder of root's", lambda: os.listdir(folder + "/closed"))
must_fail("writing to a file of everybody's", lambda: open(folder + "/open/file", "w").close())
must_fail("writing over it", lambda: write_to(folder + "/plain", "x"))
end()
