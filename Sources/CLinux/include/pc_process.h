#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

enum {
    PC_SPAWN_SET_IDS = 1,
    PC_SPAWN_SET_CAPABILITIES = 2,
    PC_SPAWN_SET_BOUNDING = 4,
    PC_SPAWN_NO_NEW_PRIVILEGES = 8,
    PC_SPAWN_NEW_SESSION = 16,
};

/// The step of the child that failed, as pc_spawn reports it.
enum pc_spawn_step {
    PC_STEP_CLONE = 0,
    PC_STEP_SESSION,
    PC_STEP_BOUNDING,
    PC_STEP_GROUPS,
    PC_STEP_IDS,
    PC_STEP_CAPABILITIES,
    PC_STEP_AMBIENT,
    PC_STEP_DEATH_SIGNAL,
    PC_STEP_NO_NEW_PRIVILEGES,
    PC_STEP_DESCRIPTORS,
    PC_STEP_EXEC,
};

struct pc_spawn {
    /// The program, unless `program` says it.
    const char *path;
    /// An open program, or -1.
    int program;
    char *_Nullable const *_Nonnull arguments;
    char *_Nullable const *_Nonnull environment;
    /// Descriptor `source[i]` of the caller becomes `target[i]` of the child; every other one above 2 is closed by exec.
    const int *source;
    const int *target;
    uint32_t descriptor_count;
    uint32_t flags;
    uint32_t uid, gid;
    /// Bit n = capability n: what the child keeps as permitted, effective, inheritable and ambient.
    uint64_t capabilities;
    /// Bit n = capability n: what stays in the bounding set.
    uint64_t bounding;
    /// prctl(PR_SET_PDEATHSIG): sent when the *thread* that spawned ends. 0 for none.
    int32_t death_signal;
};

/// Starts a program: clone(2) with CLONE_PIDFD (before Linux 5.3 *pidfd is the end of a pipe, readable when the child ends
/// just as a pidfd is; the child has its other end as one descriptor more), then only async-signal-safe
/// system calls, then execve(2), or execveat(2) of the open program. Returns 0, or -errno of the step in *step; the child is then gone and reaped.
int pc_spawn(const struct pc_spawn *request, int32_t *pid, int *pidfd, int *step);

/// execveat(2) of an open program: -errno, or no return at all.
int pc_execute(int program, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment);

/// pidfd_open(2), Linux 5.3.
int pc_pidfd_open(int32_t pid, uint32_t flags);
/// pidfd_send_signal(2), Linux 5.1.
int pc_pidfd_send_signal(int pidfd, int signal);
/// pidfd_getfd(2), Linux 5.6.
int pc_pidfd_getfd(int pidfd, int target);

struct pc_exit {
    int32_t pid;
    /// CLD_EXITED, CLD_KILLED or CLD_DUMPED.
    int32_t code;
    /// Exit status or signal number.
    int32_t status;
};
/// waitid(2) of one child: by pidfd (P_PIDFD, Linux 5.4) if `by_pidfd`, else by pid. 1 = reaped, 0 = still running
/// (only without `block`), -errno.
int pc_wait(int by_pidfd, int32_t which, int block, struct pc_exit *out);
/// kill(2).
int pc_kill(int32_t pid, int signal);
/// tgkill(2).
int pc_signal_thread(int32_t process, int32_t thread, int signal);

int32_t pc_thread_id(void);
/// The bytes of a thread's own name, cut to 15.
int pc_set_thread_name(const char *name);
/// sched_setaffinity(2)/sched_getaffinity(2) of a thread (0 = the caller), bit n of word n / 64 = CPU n.
int pc_set_affinity(int32_t tid, const uint64_t *words, uint32_t count);
int pc_get_affinity(int32_t tid, uint64_t *words, uint32_t count);
/// sched_setscheduler(2) with SCHED_FIFO, or SCHED_OTHER for priority 0.
int pc_set_realtime_priority(int32_t tid, int priority);

int pc_set_dumpable(int on);
int pc_get_dumpable(void);
int pc_set_no_new_privileges(void);
int pc_get_no_new_privileges(void);
int pc_set_parent_death_signal(int signal);
int pc_set_child_subreaper(int on);
/// mlockall(2): 1 = current, 2 = future, 4 = on fault (Linux 4.4).
int pc_lock_memory(int flags);
/// prlimit(2) of the caller. `resource` as RLIMIT_*.
int pc_set_limit(int resource, uint64_t soft, uint64_t hard);
int pc_get_limit(int resource, uint64_t *soft, uint64_t *hard);
int pc_set_umask(uint32_t mask);
/// strerror_r(3), the POSIX way: 0 or a positive errno.
int pc_error_message(int error, char *buffer, uint32_t capacity);

#pragma clang assume_nonnull end
