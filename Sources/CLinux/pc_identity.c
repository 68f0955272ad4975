#include "pc_identity.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The system calls themselves: the C library's versions would change every thread of the process.

int pc_identity_begin(void) { return unshare(CLONE_FS) < 0 ? -errno : 0; }

int pc_identity_assume(const struct pc_identity *identity) {
    if (syscall(SYS_setgroups, (size_t)identity->group_count, identity->groups) < 0)
        return -errno;
    // The effective ids, which some device drivers ask about, and with them those for files. The real and saved ones stay: they
    // keep the thread from being signalled by the other one, and are the way back.
    if (syscall(SYS_setresgid, -1, identity->gid, -1) < 0 || syscall(SYS_setresuid, -1, identity->uid, -1) < 0)
        return -errno;
    // A value that is never set asks what is.
    if ((uint32_t)syscall(SYS_setfsgid, -1) != identity->gid || (uint32_t)syscall(SYS_setfsuid, -1) != identity->uid)
        return -EPERM;
    return 0;
}

int pc_identity_current(uint32_t *uid, uint32_t *gid, uint32_t *groups, uint32_t capacity) {
    *uid = geteuid();
    *gid = getegid();
    int count = (int)syscall(SYS_getgroups, (int)capacity, groups);
    return count < 0 ? -errno : count;
}

void pc_identity_set_umask(uint32_t bits) { umask(bits); }

int pc_identity_set_effective(uint64_t effective, uint64_t permitted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        data[i].effective = (uint32_t)(effective >> (32 * i));
        data[i].permitted = (uint32_t)(permitted >> (32 * i));
    }
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int pc_identity_enter_namespace(int namespace_fd) { return setns(namespace_fd, 0) < 0 ? -errno : 0; }

int pc_identity_set_directory(int directory) { return fchdir(directory) < 0 ? -errno : 0; }

int pc_identity_set_root(int directory) {
    return fchdir(directory) < 0 || chroot(".") < 0 ? -errno : 0;
}
