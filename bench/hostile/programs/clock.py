# the clock is the host's
from box import *
import time
spec = (ctypes.c_long * 2)(1_000_000_000, 0)
refused("settimeofday", call((164, 170), spec, 0))
for clock in (0, 1, 7, 11):
    refused(f"clock_settime {clock}", call((227, 112), clock, spec))
refused("adjtimex", call((159, 171), (ctypes.c_ulong * 32)(0x0002)))
refused("clock_adjtime", call((305, 266), 0, (ctypes.c_ulong * 32)(0x0001)))
must_fail("time.clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, 1e9))
must_fail("/dev/rtc0", lambda: os.open("/dev/rtc0", os.O_RDWR))
end()
