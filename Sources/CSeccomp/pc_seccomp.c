#include "pc_seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const char *const refused[] = {
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount",
    "fspick", "mount_setattr", "setns", "unshare",
    "init_module", "finit_module", "delete_module", "bpf", "add_key", "request_key", "keyctl",
    "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "sethostname", "setdomainname",
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "iopl", "ioperm", "modify_ldt", "syslog",
    "open_by_handle_at", "userfaultfd", "perf_event_open", "lookup_dcookie", "nfsservctl", "vhangup",
    "personality",
};
static const char *const execution[] = {"execve", "execveat"};
static const char *const absent[] = {"io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"};

static int add_names(scmp_filter_ctx context, const char *const *names, size_t count, uint32_t action) {
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        // Not on this architecture, or newer than this libseccomp (see `newer`).
        if (number == __NR_SCMP_ERROR)
            continue;
        int result = seccomp_rule_add(context, action, number, 0);
        // EDOM: the call does not exist on one of the architectures of the filter.
        if (result < 0 && result != -EDOM)
            return result;
    }
    return 0;
}

/// Calls that a libseccomp of the supported age cannot name. From 424 on numbers are the same on every architecture.
static const int newer[] = {442 /* mount_setattr */, 443 /* quotactl_fd */, 467 /* open_tree_attr */};

int pc_seccomp_install_self_filter(uint32_t action, uint32_t options) {
    static const unsigned long namespace_flags[] = {
        CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP,
    };
    uint32_t refuse = action == PC_SECCOMP_ERRNO ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (context == NULL)
        return -ENOMEM;
    int result = seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result = add_names(context, refused, sizeof refused / sizeof *refused, refuse);
    for (size_t i = 0; result == 0 && i < sizeof newer / sizeof *newer; i++) {
        result = seccomp_rule_add(context, refuse, newer[i], 0);
        // Named above already, where the library does know it.
        if (result == -EEXIST)
            result = 0;
    }
    if (result == 0 && (options & PC_SECCOMP_NO_EXEC))
        result = add_names(context, execution, 2, refuse);
    if (result == 0 && (options & PC_SECCOMP_NO_FANOTIFY)) {
        static const char *const fanotify[] = {"fanotify_init"};
        result = add_names(context, fanotify, 1, refuse);
    }
    if (result == 0)
        result = add_names(context, absent, sizeof absent / sizeof *absent, SCMP_ACT_ERRNO(ENOSYS));
    for (size_t i = 0; result == 0 && i < sizeof namespace_flags / sizeof *namespace_flags; i++)
        result = seccomp_rule_add(context, refuse, SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, namespace_flags[i], namespace_flags[i]));
    // On x86 socketcall(2) does not exist for 64-bit callers, and foreign callers are killed: socket(2) is enough.
    if (result == 0 && (options & PC_SECCOMP_ONLY_UNIX_SOCKETS))
        result = seccomp_rule_add(context, refuse, SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_NE, AF_UNIX, 0));
    if (result == 0)
        result = seccomp_load(context);
    seccomp_release(context);
    return result > 0 ? -EBUSY : result;
}
