#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Calls on sockets. 0, a value, or -errno; nothing is retried.

/// What a socket is, as it was made: AF_*, SOCK_*, IPPROTO_*.
struct pc_socket_kind {
    int32_t domain;
    int32_t type;
    int32_t protocol;
};

/// SO_DOMAIN, SO_TYPE and SO_PROTOCOL. -ENOTSOCK: it is no socket.
int pc_socket_kind_of(int socket, struct pc_socket_kind *out);
/// SO_COOKIE (Linux 4.12): a number that no other socket has or will have.
int pc_socket_cookie(int socket, uint64_t *out);
/// An option that is an int.
int pc_socket_option(int socket, int level, int option, int *out);
/// SO_SNDTIMEO or SO_RCVTIMEO in nanoseconds; 0 for none.
int64_t pc_socket_timeout(int socket, int sends);
/// The port of the other end of an internet socket. -ENOTCONN.
int pc_socket_peer_port(int socket);

/// getpeername(2): the length of the address.
int pc_socket_peer(int socket, void *address, uint32_t capacity);

/// bind(2).
int pc_bind(int socket, const void *address, uint32_t length);
/// connect(2).
int pc_connect(int socket, const void *address, uint32_t length);
/// listen(2).
int pc_listen(int socket, int backlog);
/// accept4(2) with SOCK_CLOEXEC: a descriptor. `length` is the room at `address`, then how long the address is.
int pc_socket_accept(int socket, void *address, uint32_t *length, int flags);
/// Whether there is something to accept or to read: 1 or 0.
int pc_is_readable(int socket);

/// One message: where to, what, and what goes with it (cmsg(3)).
struct pc_message {
    const void *_Nullable name;
    uint32_t name_length;
    const void *_Nullable data;
    size_t length;
    const void *_Nullable control;
    size_t control_length;
};
/// sendmsg(2).
ssize_t pc_send(int socket, const struct pc_message *message, int flags);

/// A timer that interrupts what the calling thread waits in (EINTR), again and again, so that no moment is missed. Made once a thread.
int pc_alarm_make(int32_t *timer);
/// Every so many microseconds; 0 = not any more.
int pc_alarm_set(int32_t timer, uint32_t microseconds);

/// As whom a stand-in acts.
struct pc_stand_in {
    /// Real, effective and saved ids, and those for files.
    uint32_t users[4];
    uint32_t user_groups[4];
    const uint32_t *groups;
    uint32_t group_count;
    /// 0: ids stay as they are; nobody without privileges can change them.
    uint32_t changes;
    /// Bit n = capability n: what it has.
    uint64_t capabilities;
};

/// Has a child of its own connect(2) a socket or, without address, listen(2) on it, and ends it: the kernel remembers as the other end's
/// peer who does that (SO_PEERCRED), and that shall be nobody with privileges. 0 or -errno (-EAGAIN: it would have to wait, nothing was
/// done, also when the child does not come to its end within `milliseconds`; -EPERM: the child could not become who it has to be).
int pc_stand_in(
    const struct pc_stand_in *who, int socket, const void *_Nullable address, uint32_t length, int backlog,
    int milliseconds);

#pragma clang assume_nonnull end
