#include "pc_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define PC_CLOSE_RANGE_CLOEXEC 4U
#define PC_P_PIDFD 3
#define PC_MAX_DESCRIPTORS 32

struct failure {
    int32_t step, error;
};

static _Noreturn void fail(int pipe, int step) {
    struct failure report = {step, errno};
    ssize_t ignored = write(pipe, &report, sizeof report);
    (void)ignored;
    _exit(127);
}

static void mark_close_on_exec(unsigned first, unsigned last) {
    if (first > last || syscall(SYS_close_range, first, last, PC_CLOSE_RANGE_CLOEXEC) == 0)
        return;
    // Before Linux 5.11: one by one, up to the limit, which a daemon keeps moderate.
    struct rlimit limit;
    unsigned end = last;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= last)
        end = (unsigned)limit.rlim_cur;
    for (unsigned fd = first; fd <= end && fd < UINT_MAX; fd++) {
        int flags = fcntl((int)fd, F_GETFD);
        if (flags >= 0)
            fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

/// Gives the sources the targets' numbers and marks every other descriptor above 2 close-on-exec. `kept` are descriptors that
/// are still needed; they get other numbers. 0, or -1 with errno.
static int install_descriptors(const int *source, const int *target, uint32_t count, int *kept, uint32_t kept_count) {
    int highest = 2;
    for (uint32_t i = 0; i < count; i++)
        if (target[i] > highest)
            highest = target[i];
    // Sources first move above every target, so that no target overwrites a source still needed.
    for (uint32_t i = 0; i < kept_count; i++)
        if (kept[i] >= 0 && (kept[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, highest + 1)) < 0)
            return -1;
    int copies[PC_MAX_DESCRIPTORS];
    for (uint32_t i = 0; i < count; i++)
        if ((copies[i] = fcntl(source[i], F_DUPFD_CLOEXEC, highest + 1)) < 0)
            return -1;
    mark_close_on_exec(3, UINT_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (dup3(copies[i], target[i], 0) < 0)
            return -1;
    return 0;
}

static void set_capabilities(uint64_t mask, int report) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++) {
        uint32_t part = (uint32_t)(mask >> (32 * i));
        data[i].permitted = data[i].effective = data[i].inheritable = part;
    }
    if (syscall(SYS_capset, &header, data) < 0)
        fail(report, PC_STEP_CAPABILITIES);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        fail(report, PC_STEP_AMBIENT);
    for (unsigned long cap = 0; cap < 64; cap++)
        if ((mask >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            fail(report, PC_STEP_AMBIENT);
}

static _Noreturn void run_child(const struct pc_spawn *request, int report, int life, pid_t parent) {
    // Every signal is blocked here (pc_spawn). Handlers of the parent must not run in the child; exec resets them to
    // the default, but ignored signals would stay ignored.
    // The raw call with an empty struct sigaction: glibc's refuses the two signals it uses itself, which a parent that
    // was started by something careless may ignore.
    static const uint64_t empty[4] = {0};
    for (int signal = 1; signal <= 64; signal++)
        syscall(SYS_rt_sigaction, signal, empty, NULL, sizeof(uint64_t));
    if ((request->flags & PC_SPAWN_NEW_SESSION) && setsid() < 0)
        fail(report, PC_STEP_SESSION);
    if (request->flags & PC_SPAWN_SET_BOUNDING)
        for (unsigned long cap = 0; cap < 64; cap++) {
            int present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
            if (present < 0)
                break;
            if (present && !(request->bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                fail(report, PC_STEP_BOUNDING);
        }
    // With NOROOT locked, exec as uid 0 gives no capability beyond the ambient ones, and no setuid program can either.
    if ((request->flags & PC_SPAWN_SET_CAPABILITIES)
        && (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS, 0, 0, 0) < 0))
        fail(report, PC_STEP_CAPABILITIES);
    if (request->flags & PC_SPAWN_SET_IDS) {
        // The raw calls: glibc's would signal threads that do not exist in this copy of the address space.
        if (syscall(SYS_setgroups, 0, NULL) < 0)
            fail(report, PC_STEP_GROUPS);
        if (syscall(SYS_setresgid, request->gid, request->gid, request->gid) < 0
            || syscall(SYS_setresuid, request->uid, request->uid, request->uid) < 0)
            fail(report, PC_STEP_IDS);
    }
    if (request->flags & PC_SPAWN_SET_CAPABILITIES)
        set_capabilities(request->capabilities, report);
    // After the change of ids, which clears it.
    if (request->death_signal != 0) {
        if (prctl(PR_SET_PDEATHSIG, request->death_signal, 0, 0, 0) < 0)
            fail(report, PC_STEP_DEATH_SIGNAL);
        if (getppid() != parent)
            _exit(127);
    }
    if ((request->flags & PC_SPAWN_NO_NEW_PRIVILEGES) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(report, PC_STEP_NO_NEW_PRIVILEGES);
    int kept[3] = {report, request->program, life};
    if (install_descriptors(request->source, request->target, request->descriptor_count, kept, 3) < 0)
        fail(kept[0] >= 0 ? kept[0] : report, PC_STEP_DESCRIPTORS);
    report = kept[0];
    if (life >= 0)
        fcntl(kept[2], F_SETFD, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (kept[1] >= 0)
        syscall(SYS_execveat, kept[1], "", request->arguments, request->environment, AT_EMPTY_PATH);
    else
        execve(request->path, request->arguments, request->environment);
    fail(report, PC_STEP_EXEC);
}

static void close_pipe(const int *pipe) {
    for (int i = 0; i < 2; i++)
        if (pipe[i] >= 0)
            close(pipe[i]);
}

int pc_spawn(const struct pc_spawn *request, int32_t *pid, int *pidfd, int *step) {
    *step = PC_STEP_CLONE;
    *pidfd = -1;
    if (request->descriptor_count > PC_MAX_DESCRIPTORS)
        return -EINVAL;
    // A pidfd that poll(2) takes is there from Linux 5.3 on. Before, a pipe tells of the end: the child alone has its other end.
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int pipe[2], life[2] = {-1, -1};
    if (self >= 0)
        close(self);
    else if (pipe2(life, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(pipe, O_CLOEXEC) < 0) {
        int error = errno;
        close_pipe(life);
        return -error;
    }
    pid_t parent = getpid();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    long child = syscall(SYS_clone, (self >= 0 ? CLONE_PIDFD : 0) | SIGCHLD, NULL, pidfd, NULL, NULL);
    if (child == 0)
        run_child(request, pipe[1], life[1], parent);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(pipe[1]);
    if (child < 0) {
        close(pipe[0]);
        close_pipe(life);
        return -error;
    }
    if (life[1] >= 0) {
        close(life[1]);
        *pidfd = life[0];
    }
    struct failure report;
    ssize_t count;
    do
        count = read(pipe[0], &report, sizeof report);
    while (count < 0 && errno == EINTR);
    close(pipe[0]);
    *pid = (int32_t)child;
    if (count != (ssize_t)sizeof report)
        return 0;
    while (waitpid((pid_t)child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (*pidfd >= 0)
        close(*pidfd);
    *pidfd = -1;
    *step = report.step;
    return -report.error;
}

int pc_execute(int program, char *const *arguments, char *const *environment) {
    syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
    return -errno;
}

int pc_pidfd_open(int32_t pid, uint32_t flags) {
    long fd = syscall(SYS_pidfd_open, pid, flags);
    return fd < 0 ? -errno : (int)fd;
}

int pc_pidfd_send_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int pc_pidfd_getfd(int pidfd, int target) {
    long fd = syscall(SYS_pidfd_getfd, pidfd, target, 0);
    return fd < 0 ? -errno : (int)fd;
}

int pc_wait(int by_pidfd, int32_t which, int block, struct pc_exit *out) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int result;
    do
        result = waitid(by_pidfd ? (idtype_t)PC_P_PIDFD : P_PID, (id_t)which, &info, WEXITED | (block ? 0 : WNOHANG));
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    out->pid = info.si_pid;
    out->code = info.si_code;
    out->status = info.si_status;
    return 1;
}

int pc_signal_thread(int32_t process, int32_t thread, int signal) {
    return syscall(SYS_tgkill, process, thread, signal) < 0 ? -errno : 0;
}

int pc_kill(int32_t pid, int signal) { return kill(pid, signal) < 0 ? -errno : 0; }

int32_t pc_thread_id(void) { return (int32_t)syscall(SYS_gettid); }

int pc_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0) < 0 ? -errno : 0; }

int pc_set_affinity(int32_t tid, const uint64_t *words, uint32_t count) {
    return syscall(SYS_sched_setaffinity, tid, (size_t)count * 8, words) < 0 ? -errno : 0;
}

int pc_get_affinity(int32_t tid, uint64_t *words, uint32_t count) {
    memset(words, 0, (size_t)count * 8);
    return syscall(SYS_sched_getaffinity, tid, (size_t)count * 8, words) < 0 ? -errno : 0;
}

int pc_set_realtime_priority(int32_t tid, int priority) {
    struct sched_param parameter = {.sched_priority = priority};
    int policy = priority > 0 ? SCHED_FIFO | SCHED_RESET_ON_FORK : SCHED_OTHER;
    return sched_setscheduler(tid, policy, &parameter) < 0 ? -errno : 0;
}

int pc_set_dumpable(int on) { return prctl(PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0) < 0 ? -errno : 0; }
int pc_get_dumpable(void) {
    int value = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    return value < 0 ? -errno : value;
}
int pc_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0; }
int pc_get_no_new_privileges(void) {
    int value = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return value < 0 ? -errno : value;
}
int pc_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0 ? -errno : 0; }
int pc_set_child_subreaper(int on) { return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) < 0 ? -errno : 0; }
int pc_lock_memory(int flags) { return mlockall(flags) < 0 ? -errno : 0; }

int pc_set_limit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

int pc_get_limit(int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -errno;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

int pc_set_umask(uint32_t mask) { return (int)umask(mask); }

int pc_error_message(int error, char *buffer, uint32_t capacity) {
    const char *text = strerror_r(error, buffer, capacity);
    size_t length = strlen(text);
    if (length + 1 > capacity)
        return ERANGE;
    if (text != buffer)
        memcpy(buffer, text, length + 1);
    return 0;
}
