#pragma once
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

enum { PC_MAX_PASSED_DESCRIPTORS = 8 };

/// sendmsg(2) with SCM_RIGHTS and MSG_NOSIGNAL. -errno, or the bytes sent.
ssize_t pc_send_message(int socket, const void *_Nullable bytes, size_t length, const int *_Nullable descriptors,
                        uint32_t count);
/// recvmsg(2) with MSG_CMSG_CLOEXEC. `descriptors` holds PC_MAX_PASSED_DESCRIPTORS; *count gets how many came. If data
/// or descriptors did not fit, everything received is closed and -EMSGSIZE returned.
ssize_t pc_receive_message(int socket, void *bytes, size_t capacity, int *descriptors, uint32_t *count, int nonblocking);

struct pc_peer {
    int32_t pid;
    uint32_t uid, gid;
};
/// getsockopt(2) SO_PEERCRED.
int pc_peer_credentials(int socket, struct pc_peer *out);
/// socketpair(2), AF_UNIX, `type` = SOCK_SEQPACKET, SOCK_STREAM or SOCK_DGRAM; SOCK_CLOEXEC is added.
int pc_socket_pair(int type, int *first, int *second);
/// setsockopt(2) SO_SNDTIMEO: sending gives -EAGAIN after this long.
int pc_set_send_timeout(int socket, uint32_t seconds);
/// A listening AF_UNIX stream socket at `path`. The file is never more accessible than `mode`, whatever the umask is:
/// the mode is set on the unbound socket, from which bind(2) takes it. `replace` removes a socket nobody listens on.
int pc_unix_listen(const char *path, uint32_t mode, int backlog, int replace);
/// Connects to an AF_UNIX stream socket.
int pc_unix_connect(const char *path);
/// accept4(2) with SOCK_CLOEXEC.
int pc_accept(int socket, int nonblocking);

/// memfd_create(2), MFD_CLOEXEC, MFD_ALLOW_SEALING if asked, MFD_NOEXEC_SEAL where known (Linux 6.3).
int pc_memfd_create(const char *name, int sealable);
int pc_set_size(int fd, uint64_t size);
int pc_add_seals(int fd, uint32_t seals);
/// The seals, or -errno (-EINVAL: the file cannot be sealed).
int pc_get_seals(int fd);
/// mmap(2) of a whole file, MAP_SHARED. On success 0 and *address.
int pc_map(int fd, size_t length, int writable, void *_Nullable *_Nonnull address);
int pc_unmap(void *address, size_t length);

int pc_eventfd(uint32_t initial, int semaphore, int nonblocking);
/// timerfd_create(2), CLOCK_MONOTONIC.
int pc_timerfd(int nonblocking);
/// timerfd_settime(2), relative, in nanoseconds; 0, 0 disarms.
int pc_timer_set(int fd, uint64_t first, uint64_t interval);
/// Bit n - 1 = signal n, as in /proc/<pid>/status.
int pc_block_signals(uint64_t mask);
int pc_unblock_signals(uint64_t mask);
/// Blocks every signal of the calling thread and returns the mask that was set before.
uint64_t pc_block_all_signals(void);
int pc_restore_signals(uint64_t mask);
int pc_signalfd(uint64_t mask, int nonblocking);
struct pc_signal {
    uint32_t number;
    int32_t code;
    uint32_t pid, uid;
};
/// 1 = one signal, 0 = none pending, -errno.
int pc_signal_read(int fd, struct pc_signal *out);
/// poll(2); -EINTR is returned, so that the caller can look at its flags. `timeout` in milliseconds, -1 = no end.
int pc_poll(struct pollfd *entries, uint32_t count, int timeout);
/// epoll_create1(2) with EPOLL_CLOEXEC.
int pc_epoll_create(void);
enum { PC_WAIT_READABLE = 0, PC_WAIT_WRITABLE = 1 };
/// epoll_ctl(2): waits for one of these, once (EPOLLONESHOT). `again` arms a descriptor that was added before.
int pc_epoll_arm(int epoll, int fd, uint64_t tag, int again, int what);
/// Waits for EPOLLPRI, every time.
int pc_epoll_add_priority(int epoll, int fd, uint64_t tag);
void pc_epoll_remove(int epoll, int fd);
/// epoll_wait(2) for one event. 1 = what was waited for, 2 = the other end is gone, 3 = both; 0 = time is over; -errno.
int pc_epoll_wait(int epoll, int timeout, uint64_t *tag);
/// pipe2(2) with O_CLOEXEC.
int pc_pipe(int *read_end, int *write_end);
/// Whether a pipe, opened to be read without waiting when it had no writer, has one now or had one since: 1, 0, or -errno.
int pc_pipe_is_written(int reader);
/// CLOCK_MONOTONIC, nanoseconds.
uint64_t pc_monotonic_nanoseconds(void);
/// CLOCK_REALTIME, nanoseconds.
uint64_t pc_wall_clock_nanoseconds(void);

enum { PC_SEAL_SEAL = 1, PC_SEAL_SHRINK = 2, PC_SEAL_GROW = 4, PC_SEAL_WRITE = 8 };

#pragma clang assume_nonnull end
