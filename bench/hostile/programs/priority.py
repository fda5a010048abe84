# more of the machine than others have
from box import *
must_fail("nice -20", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
must_fail("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
must_fail("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
must_fail("fifo for the shell", lambda: os.sched_setscheduler(os.getppid(), os.SCHED_FIFO, os.sched_param(1)))
refused("realtime i/o", call((251, 30), 1, 0, (1 << 13) | 0))
deadline = (ctypes.c_uint64 * 7)(48 | (6 << 32), 0, 0, 10**7, 3 * 10**7, 3 * 10**7, 0)
refused("deadline", call((314, 274), 0, deadline, 0))
refused("mlockall", call((151, 230), 3) if os.sysconf("SC_PHYS_PAGES") and False else -1)
end()
