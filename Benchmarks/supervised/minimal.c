// The least that a supervisor can do: sockets go on, opens for writing are made for the caller, nothing is checked but that it still waits.
// usage: minimal PROGRAM ARGUMENT...
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void answer(int listener, const struct seccomp_notif *request) {
    struct seccomp_notif_resp response = {.id = request->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (request->data.nr == SYS_openat) {
        char path[4096];
        struct iovec ours = {path, 256}, theirs = {(void *)(uintptr_t)request->data.args[1], 256};
        response.flags = 0;
        response.error = -EFAULT;
        if (process_vm_readv((pid_t)request->pid, &ours, 1, &theirs, 1, 0) > 0 &&
            ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) == 0) {
            int fd = openat(AT_FDCWD, path, (int)request->data.args[2] | O_CLOEXEC, (mode_t)request->data.args[3]);
            struct seccomp_notif_addfd add = {
                .id = request->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (unsigned)fd, .newfd_flags = O_CLOEXEC};
            if (fd >= 0 && ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0) {
                close(fd);
                return;
            }
            response.error = -errno;
        }
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int main(int count, char **arguments) {
    if (count < 2) return 2;
    int *number = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *number = -1;
    pid_t child = fork();
    if (child == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int error = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET));
        if (error == 0)
            error = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 3, O_WRONLY));
        if (error != 0 || seccomp_load(filter) != 0) _exit(126);
        *number = seccomp_notify_fd(filter);
        // It is closed by exec.
        while (*(volatile int *)number >= 0) usleep(500);
        execvp(arguments[1], arguments + 1);
        _exit(127);
    }
    while (*(volatile int *)number < 0) usleep(500);
    int listener = (int)syscall(SYS_pidfd_getfd, (int)syscall(SYS_pidfd_open, child, 0), *number, 0);
    *number = -1;
    if (listener < 0) return 1;
    pid_t waiter = fork();
    if (waiter == 0) {
        for (;;) {
            struct seccomp_notif request = {0};
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0) answer(listener, &request);
        }
    }
    int status;
    waitpid(child, &status, 0);
    kill(waiter, SIGKILL);
    return WEXITSTATUS(status);
}
