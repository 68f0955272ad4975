#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

/// What a refused call gives, see seccomp(2).
enum {
    PC_SECCOMP_KILL_PROCESS = 0,
    PC_SECCOMP_ERRNO = 1,
};

enum {
    /// Also refuse socket(2) for every domain but AF_UNIX.
    PC_SECCOMP_ONLY_UNIX_SOCKETS = 1,
    /// Refuse execve and execveat too.
    PC_SECCOMP_NO_EXEC = 2,
    /// Refuse fanotify_init too: not for the role that creates groups.
    PC_SECCOMP_NO_FANOTIFY = 4,
};

/// Installs on every thread (SECCOMP_FILTER_FLAG_TSYNC) a filter that allows by default and refuses what an agent
/// process has no use for: ptrace, other processes' memory, mounts, namespaces, modules, bpf, keys, kexec, reboot,
/// open_by_handle_at, userfaultfd, perf_event_open, clone with namespace flags; io_uring and clone3 answer ENOSYS, so
/// that libraries fall back. Calls of a foreign architecture kill. Sets no_new_privs. 0 or -errno.
int pc_seccomp_install_self_filter(uint32_t action, uint32_t options);

#pragma clang assume_nonnull end
