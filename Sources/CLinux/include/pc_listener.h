#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// A notification, as seccomp_unotify(2) has it.
struct pc_notification {
    uint64_t id;
    /// The *thread* that waits.
    uint32_t thread;
    uint32_t flags;
    int32_t number;
    uint32_t architecture;
    uint64_t instruction_pointer;
    uint64_t arguments[6];
};

/// Installs a program on the calling thread: seccomp(SECCOMP_SET_MODE_FILTER). `listens`: with SECCOMP_FILTER_FLAG_NEW_LISTENER,
/// and WAIT_KILLABLE_RECV where the kernel has it (5.19); gives the listener. 0, a descriptor, or -errno (-EBUSY: the
/// thread has a listener already). Only system calls: for a child between fork and exec.
int pc_filter_install(const void *program, uint32_t instructions, int listens);

/// SECCOMP_IOCTL_NOTIF_RECV: 0 or -errno (-ENOENT: the thread has gone; -EINTR).
int pc_listener_receive(int listener, struct pc_notification *out);
/// SECCOMP_IOCTL_NOTIF_SEND. `error` is a negated errno, `continues` is SECCOMP_USER_NOTIF_FLAG_CONTINUE. 0 or -errno
/// (-ENOENT: nobody waits any more).
int pc_listener_respond(int listener, uint64_t id, int64_t value, int32_t error, int continues);
/// SECCOMP_IOCTL_NOTIF_ID_VALID: 0, or -ENOENT.
int pc_listener_is_valid(int listener, uint64_t id);
/// SECCOMP_IOCTL_NOTIF_ADDFD (Linux 5.9): a copy of `descriptor` becomes one of the target's. `answers` also ends the call
/// with it, in one step (SECCOMP_ADDFD_FLAG_SEND, 5.14). The number in the target, or -errno.
int pc_listener_add_descriptor(int listener, uint64_t id, int descriptor, uint32_t flags, int answers);
/// SECCOMP_IOCTL_NOTIF_SET_FLAGS with SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (Linux 6.6). 0 or -errno.
int pc_listener_wake_synchronously(int listener);

/// A program that is to run under filters.
struct pc_supervised {
    const char *path;
    char *_Nullable const *_Nonnull arguments;
    char *_Nullable const *_Nonnull environment;
    /// The first program and the one with the listener: struct sock_filter.
    const void *guard;
    const void *tree;
    uint32_t guard_instructions;
    uint32_t tree_instructions;
    /// Sets no_new_privs: needed without CAP_SYS_ADMIN.
    int32_t no_new_privileges;
    /// Makes a UTS namespace of its own. Needs CAP_SYS_ADMIN.
    int32_t own_host_name;
    /// Landlock forbids it to change files itself (pc_landlock.h): all such calls are performed for it.
    int32_t forbids_changes;
    /// Bit n = capability n: dropped from every set.
    uint64_t dropped_capabilities;
};

/// Splits a speaker off, which is no child of the caller's: returns 0 in the caller and 1 in the speaker, each with its end of the gate;
/// or -errno.
int pc_supervise_split(int *gate);
/// In the speaker: waits until `program` has its listener, and says under which number. 0 or -errno; the program's own, if it gave up.
int pc_supervise_await(int gate, int32_t program, int32_t *listener);
/// In the program-to-be: installs the filters, waits for a byte through the gate, executes. Returns only with -errno of the step that
/// failed; ends when the gate is closed.
int pc_supervise_become(const struct pc_supervised *request, int gate);

#pragma clang assume_nonnull end
