#include "pc_landlock.h"
#include "pc_listener.h"
#include "pc_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

// What the program-to-be says to its speaker: the number that its listener will have, and after that nothing: between the filter and
// the agent's taking the listener over write(2) itself can be a call that is notified.
static int say(int gate, int32_t word) { return write(gate, &word, sizeof word) == (ssize_t)sizeof word ? 0 : -EPIPE; }

static int drop_capabilities(uint64_t dropped, int no_new_privileges) {
    if (dropped == 0)
        return 0;
    // Without new privileges nothing is gained from the bounding set, which only CAP_SETPCAP may change.
    for (unsigned long cap = 0; cap < 64 && !no_new_privileges; cap++)
        if ((dropped >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return -1;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        uint32_t keep = ~(uint32_t)(dropped >> (32 * i));
        data[i].permitted &= keep;
        data[i].effective &= keep;
        data[i].inheritable &= keep;
    }
    // What is neither permitted nor inheritable leaves the ambient set too (capabilities(7)).
    return (int)syscall(SYS_capset, &header, data);
}

int pc_supervise_split(int *gate) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t middle = fork();
    if (middle < 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    if (middle == 0) {
        // Twice, so that the program has no child that it does not know of.
        pid_t speaker = fork();
        if (speaker != 0)
            _exit(speaker < 0 ? 1 : 0);
        close(ends[0]);
        *gate = ends[1];
        return 1;
    }
    close(ends[1]);
    int status = 1;
    while (waitpid(middle, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0) {
        close(ends[0]);
        return -EAGAIN;
    }
    *gate = ends[0];
    return 0;
}

int pc_supervise_await(int gate, int32_t program, int32_t *listener) {
    ssize_t count;
    do
        count = read(gate, listener, sizeof *listener);
    while (count < 0 && errno == EINTR);
    if (count != (ssize_t)sizeof *listener)
        return -ECHILD;
    if (*listener < 0)
        return *listener;
    int pidfd = (int)syscall(SYS_pidfd_open, program, 0);
    if (pidfd < 0)
        return -errno;
    int result;
    for (;;) {
        int copy = pc_pidfd_getfd(pidfd, *listener);
        // Of no listener the ioctl is not known (ENOTTY).
        int listens = copy >= 0 && pc_listener_is_valid(copy, 0) == -ENOENT;
        if (copy >= 0)
            close(copy);
        result = listens ? 0 : copy < 0 && copy != -EBADF ? copy : -EAGAIN;
        if (result != -EAGAIN)
            break;
        // Its end of the gate closes when it ends, or gives up.
        struct pollfd ended = {.fd = gate, .events = POLLIN};
        if (poll(&ended, 1, 1) > 0) {
            int32_t word;
            result = read(gate, &word, sizeof word) == (ssize_t)sizeof word && word < 0 ? word : -ECHILD;
            break;
        }
    }
    close(pidfd);
    return result;
}

int pc_supervise_become(const struct pc_supervised *request, int gate) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Before the filter, which forbids it.
    if (request->own_host_name && unshare(CLONE_NEWUTS) < 0)
        return -errno;
    if (request->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    // Before the filter, too: what it would open is notified then.
    int walled = request->forbids_changes ? pc_landlock_forbid_changes() : 0;
    if (walled < 0)
        return walled;
    // The lowest free number is the listener's too.
    int number = fcntl(gate, F_DUPFD_CLOEXEC, 0);
    if (number < 0 || close(number) < 0)
        return -errno;
    int error = say(gate, number);
    if (error >= 0)
        error = pc_filter_install(request->guard, request->guard_instructions, 0);
    // The listener's number.
    if (error >= 0)
        error = pc_filter_install(request->tree, request->tree_instructions, 1);
    // After the filters, which need CAP_SYS_ADMIN.
    if (error >= 0 && drop_capabilities(request->dropped_capabilities, request->no_new_privileges) < 0)
        error = -errno;
    if (error < 0) {
        // With a filter in place and nobody who answers only this may be called; without one the speaker is told too.
        say(gate, error);
        return error;
    }
    char go = 0;
    ssize_t count;
    do
        count = read(gate, &go, 1);
    while (count < 0 && errno == EINTR);
    // The speaker has said why.
    if (count != 1)
        _exit(1);
    sigprocmask(SIG_SETMASK, &before, NULL);
    execve(request->path, request->arguments, request->environment);
    return -errno;
}
