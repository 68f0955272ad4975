#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Whom the kernel takes the calling *thread* for when it checks access to files (credentials(7)).
struct pc_identity {
    uint32_t uid, gid;
    uint32_t group_count;
    const uint32_t *groups;
};

/// Gives the thread a root, current directory and umask of its own: unshare(CLONE_FS). 0 or -errno.
int pc_identity_begin(void);
/// Whom the kernel takes the thread for now: ids and up to `capacity` supplementary groups. Their number, or -errno.
int pc_identity_current(uint32_t *uid, uint32_t *gid, uint32_t *groups, uint32_t capacity);
/// The bits that new objects do not get.
void pc_identity_set_umask(uint32_t bits);
/// Takes on user, group and supplementary groups; the thread must have CAP_SETUID and CAP_SETGID in effect. Which
/// capabilities are in effect after it is to be set anew. 0 or -errno.
int pc_identity_assume(const struct pc_identity *identity);
/// capset(2) of the thread: what is in effect out of `permitted`, which stays. 0 or -errno.
int pc_identity_set_effective(uint64_t effective, uint64_t permitted);
/// Puts the thread into a network, IPC or UTS namespace. 0 or -errno.
int pc_identity_enter_namespace(int namespace_fd);
/// Makes `directory` the thread's current directory. 0 or -errno.
int pc_identity_set_directory(int directory);
/// Makes `directory` the thread's root. 0 or -errno.
int pc_identity_set_root(int directory);

#pragma clang assume_nonnull end
