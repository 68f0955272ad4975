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

// What the child says: the number that its listener will have, then a negated errno if a later step fails. Nothing may be said
// between the filter and the agent's taking the listener over: write(2) itself can be a call that is notified.
static void say(int gate, int32_t word) {
    ssize_t ignored = write(gate, &word, sizeof word);
    (void)ignored;
}

static _Noreturn void give_up(int gate) {
    say(gate, -errno);
    _exit(127);
}

static int drop_capabilities(uint64_t dropped) {
    if (dropped == 0)
        return 0;
    for (unsigned long cap = 0; cap < 64; cap++)
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

static _Noreturn void run_child(const struct pc_supervised *request, int gate, int theirs, const sigset_t *mask) {
    // Only the parent's copy keeps the gate open: if it ends, so does the child.
    close(theirs);
    // Handlers of the parent must not run here, but what it ignores stays ignored, as nohup(1) wants it.
    for (int signal = 1; signal <= 64; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
            action = (struct sigaction){.sa_handler = SIG_DFL};
            sigaction(signal, &action, NULL);
        }
    }
    // Before the filter, which forbids it.
    if (request->own_host_name && unshare(CLONE_NEWUTS) < 0)
        give_up(gate);
    if (request->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        give_up(gate);
    // The lowest free number is the listener's too.
    int number = fcntl(gate, F_DUPFD_CLOEXEC, 0);
    if (number < 0 || close(number) < 0)
        give_up(gate);
    say(gate, number);
    int error = pc_filter_install(request->guard, request->guard_instructions, 0);
    if (error == 0)
        error = pc_filter_install(request->tree, request->tree_instructions, 1);
    if (error < 0) {
        errno = -error;
        give_up(gate);
    }
    // After the filters, which need CAP_SYS_ADMIN.
    if (drop_capabilities(request->dropped_capabilities) < 0)
        give_up(gate);
    char go;
    ssize_t count;
    do
        count = read(gate, &go, 1);
    while (count < 0 && errno == EINTR);
    if (count != 1)
        _exit(127);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execve(request->path, request->arguments, request->environment);
    give_up(gate);
}

static int hear(int gate, int32_t *word) {
    ssize_t count;
    do
        count = read(gate, word, sizeof *word);
    while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof *word;
}

// Waits until the child's descriptor is a listener, or the child says what went wrong.
static int await_listener(int gate, int pidfd, int number, int32_t *word) {
    for (;;) {
        int copy = pc_pidfd_getfd(pidfd, number);
        // Of no listener the ioctl is not known (ENOTTY).
        int listens = copy >= 0 && pc_listener_is_valid(copy, 0) == -ENOENT;
        if (copy >= 0)
            close(copy);
        if (listens)
            return 1;
        struct pollfd said = {.fd = gate, .events = POLLIN};
        if (poll(&said, 1, 1) > 0) {
            if (!hear(gate, word) || *word >= 0)
                *word = -ECHILD;
            return 0;
        }
        if (copy < 0 && copy != -EBADF) {
            *word = copy;
            return 0;
        }
    }
}

int pc_supervise(const struct pc_supervised *request, int32_t *pid, int *pidfd, int *listener, int *gate) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    long child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
    if (child == 0)
        run_child(request, ends[1], ends[0], &before);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -error;
    }
    int32_t number, word = -ECHILD;
    if (!hear(ends[0], &number) || number < 0 || !await_listener(ends[0], *pidfd, number, &word)) {
        close(ends[0]);
        close(*pidfd);
        // It says nothing more, and nobody else knows its listener: it cannot be let run.
        kill((pid_t)child, SIGKILL);
        waitpid((pid_t)child, NULL, 0);
        return word;
    }
    *pid = (int32_t)child;
    *listener = number;
    *gate = ends[0];
    return 0;
}

int pc_supervise_release(int gate) {
    char go = 1;
    int32_t word = 0;
    // MSG_NOSIGNAL: a child that was killed meanwhile must not end its parent.
    int error = send(gate, &go, 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
    // execve(2) closes the child's end: end of file is success.
    if (error == 0 && hear(gate, &word))
        error = word;
    close(gate);
    return error;
}
