# files of /proc with which root rules the machine
from box import *
writable = ["sysrq-trigger", "sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/hostname", "sys/vm/overcommit_memory", "sys/vm/drop_caches", "sys/fs/binfmt_misc/register", "sys/net/ipv4/ip_forward", "irq/0/smp_affinity", "acpi/wakeup", "bus/pci/00/00.0", "mtrr", "scsi/scsi"]
for name in writable:
    must_fail(name, lambda: write_to(f"/proc/{name}", "h"))
for name in ("kcore", "kmsg", "kallsyms", "iomem", "modules", "slabinfo", "vmallocinfo", "timer_list", "config.gz", "interrupts", "sched_debug"):
    try:
        if open(f"/proc/{name}", "rb").read(4096):
            through(f"read /proc/{name}")
    except OSError as error:
        print(name, error)
for folder in ("/sys", "/boot", "/run", "/var", "/home", "/root", "/mnt", "/media", "/srv", "/lost+found"):
    if os.path.exists(folder):
        through(folder)
end()
