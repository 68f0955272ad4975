#include "pc_probe.h"

#include "pc_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

int pc_seccomp_action_available(uint32_t action) {
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

int pc_seccomp_notification_sizes(uint16_t *notification, uint16_t *response, uint16_t *data) {
    uint16_t sizes[3] = {0, 0, 0};
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes) < 0)
        return -errno;
    *notification = sizes[0];
    *response = sizes[1];
    *data = sizes[2];
    return 0;
}

int pc_seccomp_flag_known(uint64_t flag) {
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)flag, NULL) == 0)
        return -EIO;
    return errno == EFAULT ? 0 : -errno;
}

/// Runs `body` in a forked child and returns what it returns. The child's alarm ends it, so that a probe cannot hang
/// its caller.
static int in_child(int (*body)(void)) {
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) < 0)
        return -errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(SIGALRM, &action, NULL);
        sigset_t alarm_only;
        sigemptyset(&alarm_only);
        sigaddset(&alarm_only, SIGALRM);
        sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
        alarm(2);
        int result = body();
        ssize_t ignored = write(pipe[1], &result, sizeof result);
        (void)ignored;
        _exit(0);
    }
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(pipe[1]);
    int result = -ECHILD;
    if (child < 0) {
        result = -error;
    } else {
        ssize_t count;
        do
            count = read(pipe[0], &result, sizeof result);
        while (count < 0 && errno == EINTR);
        if (count != (ssize_t)sizeof result)
            result = -ECHILD;
        while (waitpid((pid_t)child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(pipe[0]);
    return result;
}

/// A listener of this process: of a child that ends with it.
static int own_listener(void) {
    // Notifies nothing: the one call it names is never made by this child.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x7ffffff0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return listener < 0 ? -errno : (int)listener;
}

static int add_descriptor(uint32_t flags) {
    int listener = own_listener();
    if (listener < 0)
        return listener;
    struct seccomp_notif_addfd request = {.id = 0, .flags = flags, .srcfd = (uint32_t)listener};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request) == 0)
        return 0;
    // ENOENT: the ioctl and its flags are known, and no notification has id 0.
    return errno == ENOENT ? 0 : -errno;
}

static int addfd_body(void) { return add_descriptor(0); }
// SECCOMP_ADDFD_FLAG_SEND, Linux 5.14.
static int addfd_send_body(void) { return add_descriptor(1U << 1); }

static int sync_wake_up_body(void) {
    int listener = own_listener();
    return listener < 0 ? listener : pc_listener_wake_synchronously(listener);
}

int pc_seccomp_addfd_probe(void) { return in_child(addfd_body); }
int pc_seccomp_addfd_send_probe(void) { return in_child(addfd_send_body); }
int pc_seccomp_sync_wake_up_probe(void) { return in_child(sync_wake_up_body); }

int pc_landlock_abi(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1U);
    return abi < 0 ? -errno : (int)abi;
}

int pc_io_uring_probe(void) {
    if (syscall(SYS_io_uring_setup, 0, NULL) >= 0)
        return -EIO;
    return errno == EPERM || errno == ENOSYS ? -errno : 0;
}

int pc_nftables_probe(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0)
        return -errno;
    struct {
        struct nlmsghdr header;
        struct nfgenmsg body;
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
    };
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } reply;
    int result = 0;
    if (send(fd, &request, sizeof request, MSG_NOSIGNAL) < 0) {
        result = -errno;
    } else {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        int ready = poll(&entry, 1, 1000);
        ssize_t count = ready == 1 ? recv(fd, &reply, sizeof reply, 0) : -1;
        if (ready != 1)
            result = -ETIMEDOUT;
        else if (count < 0)
            result = -errno;
        else if ((size_t)count < sizeof reply.header)
            result = -EPROTO;
        else if (reply.header.nlmsg_type == NLMSG_ERROR)
            result = ((struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
    }
    close(fd);
    return result;
}

static int user_namespace_body(void) { return unshare(CLONE_NEWUSER) < 0 ? -errno : 0; }

int pc_user_namespace_probe(void) { return in_child(user_namespace_body); }

int pc_kernel_release(char *buffer, uint32_t capacity) {
    struct utsname name;
    if (uname(&name) < 0)
        return -errno;
    size_t length = strnlen(name.release, sizeof name.release);
    if (length + 1 > capacity)
        return -ENAMETOOLONG;
    memcpy(buffer, name.release, length);
    buffer[length] = 0;
    return 0;
}
