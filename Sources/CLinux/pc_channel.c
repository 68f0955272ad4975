#include "pc_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pc_file.h"

#define PC_MFD_NOEXEC_SEAL 8U

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * PC_MAX_PASSED_DESCRIPTORS)];
};

ssize_t pc_send_message(int socket, const void *bytes, size_t length, const int *descriptors, uint32_t count) {
    if (count > PC_MAX_PASSED_DESCRIPTORS)
        return -EINVAL;
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec vector = {(void *)(uintptr_t)bytes, length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count != 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t pc_receive_message(int socket, void *bytes, size_t capacity, int *descriptors, uint32_t *count,
                           int nonblocking) {
    union control control;
    struct iovec vector = {bytes, capacity};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *count = 0;
    ssize_t received;
    do
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (nonblocking ? MSG_DONTWAIT : 0));
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        uint32_t here = (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (uint32_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (*count < PC_MAX_PASSED_DESCRIPTORS)
                descriptors[(*count)++] = fd;
            else
                close(fd);
        }
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (uint32_t i = 0; i < *count; i++)
            close(descriptors[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    return received;
}

int pc_peer_credentials(int socket, struct pc_peer *out) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -errno;
    out->pid = peer.pid;
    out->uid = peer.uid;
    out->gid = peer.gid;
    return 0;
}

int pc_socket_pair(int type, int *first, int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    *first = pair[0];
    *second = pair[1];
    return 0;
}

static int unix_address(const char *path, struct sockaddr_un *out) {
    size_t length = strlen(path);
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (length == 0 || length >= sizeof out->sun_path)
        return -ENAMETOOLONG;
    memcpy(out->sun_path, path, length + 1);
    return 0;
}

/// bind(2) kept the bits of the mode that the umask left; this adds the rest, through a descriptor, so that a file
/// swapped in meanwhile is not the one changed.
static int widen_mode(const char *path, uint32_t mode) {
    int fd = pc_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    struct stat status;
    int result = 0;
    char link[40];
    if (fstat(fd, &status) < 0) {
        result = -errno;
    } else if (!S_ISSOCK(status.st_mode)) {
        result = -ENOTSOCK;
    } else if ((status.st_mode & 07777) != mode) {
        char digits[12], *at = link + 14;
        size_t count = 0;
        memcpy(link, "/proc/self/fd/", 14);
        for (int rest = fd; count == 0 || rest != 0; rest /= 10)
            digits[count++] = (char)('0' + rest % 10);
        while (count != 0)
            *at++ = digits[--count];
        *at = 0;
        result = chmod(link, mode) < 0 ? -errno : 0;
    }
    close(fd);
    return result;
}

int pc_unix_connect(const char *path) {
    struct sockaddr_un address;
    int result = unix_address(path, &address);
    if (result < 0)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        result = -errno;
        close(fd);
        return result;
    }
    return fd;
}

int pc_set_send_timeout(int socket, uint32_t seconds) {
    struct timeval limit = {.tv_sec = seconds};
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ? -errno : 0;
}

int pc_unix_listen(const char *path, uint32_t mode, int backlog, int replace) {
    struct sockaddr_un address;
    int result = unix_address(path, &address);
    if (result < 0)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, mode) < 0)
        goto failed;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        if (errno != EADDRINUSE || !replace)
            goto failed;
        int other = pc_unix_connect(path);
        if (other >= 0)
            close(other);
        if (other != -ECONNREFUSED) {
            errno = EADDRINUSE;
            goto failed;
        }
        // A file of any other kind refuses connections too.
        struct stat status;
        if (lstat(path, &status) < 0)
            goto failed;
        if (!S_ISSOCK(status.st_mode)) {
            errno = EADDRINUSE;
            goto failed;
        }
        if (unlink(path) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
            goto failed;
    }
    result = widen_mode(path, mode);
    if (result < 0) {
        close(fd);
        return result;
    }
    if (listen(fd, backlog) < 0)
        goto failed;
    return fd;
failed:
    result = -errno;
    close(fd);
    return result;
}

int pc_accept(int socket, int nonblocking) {
    int fd;
    do
        fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0));
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd < 0 ? -errno : fd;
}

int pc_memfd_create(const char *name, int sealable) {
    unsigned flags = MFD_CLOEXEC | (sealable ? MFD_ALLOW_SEALING : 0);
    // MFD_NOEXEC_SEAL implies MFD_ALLOW_SEALING, which a memory that must stay writable should not have.
    int fd = sealable ? memfd_create(name, flags | PC_MFD_NOEXEC_SEAL) : -1;
    if (fd < 0)
        fd = memfd_create(name, flags);
    return fd < 0 ? -errno : fd;
}

int pc_set_size(int fd, uint64_t size) { return ftruncate(fd, (off_t)size) < 0 ? -errno : 0; }
int pc_add_seals(int fd, uint32_t seals) { return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0; }
int pc_get_seals(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    return seals < 0 ? -errno : seals;
}

int pc_map(int fd, size_t length, int writable, void **address) {
    void *mapped = mmap(NULL, length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    *address = mapped;
    return 0;
}

int pc_unmap(void *address, size_t length) { return munmap(address, length) < 0 ? -errno : 0; }

int pc_eventfd(uint32_t initial, int semaphore, int nonblocking) {
    int fd = eventfd(initial, EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0) | (nonblocking ? EFD_NONBLOCK : 0));
    return fd < 0 ? -errno : fd;
}

int pc_timerfd(int nonblocking) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | (nonblocking ? TFD_NONBLOCK : 0));
    return fd < 0 ? -errno : fd;
}

static struct timespec to_timespec(uint64_t nanoseconds) {
    return (struct timespec){.tv_sec = (time_t)(nanoseconds / 1000000000U), .tv_nsec = (long)(nanoseconds % 1000000000U)};
}

int pc_timer_set(int fd, uint64_t first, uint64_t interval) {
    struct itimerspec value = {.it_interval = to_timespec(interval), .it_value = to_timespec(first)};
    return timerfd_settime(fd, 0, &value, NULL) < 0 ? -errno : 0;
}

static void to_sigset(uint64_t mask, sigset_t *set) {
    sigemptyset(set);
    for (int signal = 1; signal <= 64; signal++)
        if (mask >> (signal - 1) & 1)
            sigaddset(set, signal);
}

int pc_block_signals(uint64_t mask) {
    sigset_t set;
    to_sigset(mask, &set);
    return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int pc_unblock_signals(uint64_t mask) {
    sigset_t set;
    to_sigset(mask, &set);
    return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

uint64_t pc_block_all_signals(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    uint64_t mask = 0;
    for (int signal = 1; signal <= 64; signal++)
        if (sigismember(&before, signal) == 1)
            mask |= UINT64_C(1) << (signal - 1);
    return mask;
}

int pc_restore_signals(uint64_t mask) {
    sigset_t set;
    to_sigset(mask, &set);
    return -pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int pc_signalfd(uint64_t mask, int nonblocking) {
    sigset_t set;
    to_sigset(mask, &set);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | (nonblocking ? SFD_NONBLOCK : 0));
    return fd < 0 ? -errno : fd;
}

int pc_signal_read(int fd, struct pc_signal *out) {
    struct signalfd_siginfo info;
    ssize_t count = pc_read(fd, &info, sizeof info);
    if (count == -EAGAIN)
        return 0;
    if (count < 0)
        return (int)count;
    if ((size_t)count != sizeof info)
        return -EIO;
    out->number = info.ssi_signo;
    out->code = info.ssi_code;
    out->pid = info.ssi_pid;
    out->uid = info.ssi_uid;
    return 1;
}

int pc_poll(struct pollfd *entries, uint32_t count, int timeout) {
    int ready = poll(entries, count, timeout);
    return ready < 0 ? -errno : ready;
}

int pc_epoll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int pc_epoll_arm(int epoll, int fd, uint64_t tag, int again, int what) {
    uint32_t events = what == PC_WAIT_WRITABLE ? EPOLLOUT : EPOLLIN;
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u64 = tag};
    return epoll_ctl(epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int pc_epoll_add_priority(int epoll, int fd, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLPRI, .data.u64 = tag};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void pc_epoll_remove(int epoll, int fd) { epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

int pc_epoll_wait(int epoll, int timeout, uint64_t *tag) {
    struct epoll_event event;
    int count = epoll_wait(epoll, &event, 1, timeout);
    if (count <= 0)
        return count < 0 ? -errno : 0;
    *tag = event.data.u64;
    return (event.events & (EPOLLIN | EPOLLPRI | EPOLLOUT) ? 1 : 0) | (event.events & (EPOLLHUP | EPOLLERR) ? 2 : 0);
}

int pc_pipe(int *read_end, int *write_end) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return -errno;
    *read_end = pair[0];
    *write_end = pair[1];
    return 0;
}

int pc_pipe_is_written(int reader) {
    // Data, or a writer that came and went (POLLHUP is not told of one that was never there).
    struct pollfd state = {.fd = reader, .events = POLLIN};
    if (poll(&state, 1, 0) < 0)
        return -errno;
    if (state.revents != 0)
        return 1;
    // Of one that is there and has not written poll tells nothing; tee(2), which takes nothing out, would wait for it.
    int pair[2];
    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    ssize_t count = tee(reader, pair[1], 1, SPLICE_F_NONBLOCK);
    int result = count > 0 || (count < 0 && errno == EAGAIN);
    close(pair[0]);
    close(pair[1]);
    return result;
}

static uint64_t clock_nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t pc_monotonic_nanoseconds(void) { return clock_nanoseconds(CLOCK_MONOTONIC); }
uint64_t pc_wall_clock_nanoseconds(void) { return clock_nanoseconds(CLOCK_REALTIME); }
