#include "pc_socket.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

/// What the child says when it could not become who it has to be.
#define PC_NOT_BECOME 255

// In a copy of one thread of many: only system calls, and not the C library's, which would wake threads that are not there.
static int become(const struct pc_stand_in *who) {
    if (!who->changes)
        return 0;
    if (syscall(SYS_setgroups, (size_t)who->group_count, who->groups) < 0 ||
        syscall(SYS_setresgid, who->user_groups[0], who->user_groups[1], who->user_groups[2]) < 0 ||
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_setresuid, who->users[0], who->users[1], who->users[2]) < 0)
        return -1;
    syscall(SYS_setfsgid, who->user_groups[3]);
    syscall(SYS_setfsuid, who->users[3]);
    if ((uint32_t)syscall(SYS_setfsgid, -1) != who->user_groups[3] || (uint32_t)syscall(SYS_setfsuid, -1) != who->users[3])
        return -1;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = (uint32_t)(who->capabilities >> (32 * i));
    return (int)syscall(SYS_capset, &header, data);
}

static void nothing(int signal) { (void)signal; }

// Ends a wait that lasts longer than a millisecond or two: nothing has been done by then, and nothing that was done is lost.
static void limit_wait(void) {
    struct sigaction ends = {.sa_handler = nothing};
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    // Again and again: the first one may come before the call waits.
    struct itimerval every = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    sigaction(SIGALRM, &ends, NULL);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

int pc_stand_in(
    const struct pc_stand_in *who, int socket, const void *address, uint32_t length, int backlog, int milliseconds) {
    int pidfd = -1;
    long child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, NULL);
    if (child < 0)
        return -errno;
    if (child == 0) {
        if (become(who) < 0)
            _exit(PC_NOT_BECOME);
        limit_wait();
        long result = address != NULL ? connect(socket, address, length) : listen(socket, backlog);
        _exit(result < 0 ? errno == EINTR ? EAGAIN : errno : 0);
    }
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int isLate = poll(&ended, 1, milliseconds) == 0;
    if (isLate)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    int status = 0;
    pid_t found;
    do
        found = waitpid((pid_t)child, &status, 0);
    while (found < 0 && errno == EINTR);
    close(pidfd);
    if (found < 0 || !WIFEXITED(status)) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        // It can have been connected before it was killed.
        if (isLate && address != NULL && getpeername(socket, (struct sockaddr *)&peer, &size) == 0)
            return 0;
        return isLate ? -EAGAIN : -EPERM;
    }
    return WEXITSTATUS(status) == PC_NOT_BECOME ? -EPERM : -WEXITSTATUS(status);
}
