# what is limited per process may not be taken back
from box import *
import resource
infinite = resource.RLIM_INFINITY
for name in ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE"):
    limit = getattr(resource, name)
    must_fail(name, lambda: resource.setrlimit(limit, (infinite, infinite)))
    must_fail(f"{name} of 1", lambda: resource.prlimit(1, limit, (infinite, infinite)))
must_fail("oom_score_adj", lambda: write_to("/proc/self/oom_score_adj", "-1000"))
no_new_privs = libc.prctl(38, 0, 0, 0, 0)
if no_new_privs == 0:
    through("no_new_privs taken back")
if libc.prctl(39, 0, 0, 0, 0) != 1:
    through("no_new_privs is not set")
if libc.prctl(21, 0, 0, 0, 0) != 2:
    through("no filter")
if libc.prctl(28, 0x2F, 0, 0, 0) == 0:
    through("securebits")
if libc.prctl(24, 21, 0, 0, 0) == 0:
    print("a bounding set can shrink")
end()
