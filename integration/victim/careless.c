// The supervisor that races are won against: it looks, and then lets the call go on.

#include "victim.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int supervise(int listener, pid_t process, char **a, look_function *is_forbidden) {
    struct seccomp_notif *request;
    struct seccomp_notif_resp *response;
    if (seccomp_notify_alloc(&request, &response) < 0) return -1;
    int pidfd = (int)syscall(SYS_pidfd_open, process, 0);
    for (;;) {
        memset(request, 0, sizeof *request);
        if (seccomp_notify_receive(listener, request) < 0) return errno == EINTR ? 0 : -1;
        int isForbidden = is_forbidden(request, pidfd, a);
        *response = (struct seccomp_notif_resp){
            .id = request->id,
            .error = isForbidden ? -EACCES : 0,
            // The mistake.
            .flags = isForbidden ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE,
        };
        seccomp_notify_respond(listener, response);
    }
}

int careless(char **a, int call, look_function *is_forbidden, int (*run)(char **)) {
    int *listener_number = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *listener_number = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        if (seccomp_rule_add(filter, SCMP_ACT_NOTIFY, call, 0) < 0 || seccomp_load(filter) < 0) _exit(1);
        *listener_number = seccomp_notify_fd(filter);
        int error = run(a);
        fflush(stdout);
        _exit(error < 0);
    }
    while (*(volatile int *)listener_number < 0 && waitpid(child, NULL, WNOHANG) == 0) usleep(1000);
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    int listener = (int)syscall(SYS_pidfd_getfd, pidfd, *listener_number, 0);
    if (listener < 0) return failed();
    pid_t supervisor = fork();
    if (supervisor == 0) _exit(supervise(listener, child, a, is_forbidden) < 0);
    int status;
    waitpid(child, &status, 0);
    kill(supervisor, 9);
    waitpid(supervisor, NULL, 0);
    return status == 0 ? 0 : 10;
}
