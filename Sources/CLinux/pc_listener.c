#include "pc_listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define PC_SYNC_WAKE_UP 1UL

int pc_filter_install(const void *program, uint32_t instructions, int listens) {
    if (instructions == 0 || instructions > BPF_MAXINSNS)
        return -EINVAL;
    struct sock_fprog filter = {
        .len = (unsigned short)instructions,
        // The kernel only reads it.
        .filter = (struct sock_filter *)(uintptr_t)program,
    };
    if (!listens)
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? -errno : 0;
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long listener =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
    if (listener < 0 && errno == EINVAL)
        listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
    return listener < 0 ? -errno : (int)listener;
}

int pc_listener_receive(int listener, struct pc_notification *out) {
    struct seccomp_notif raw;
    // The kernel refuses a record that is not zero.
    memset(&raw, 0, sizeof raw);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &raw) < 0)
        return -errno;
    *out = (struct pc_notification){
        .id = raw.id,
        .thread = raw.pid,
        .flags = raw.flags,
        .number = raw.data.nr,
        .architecture = raw.data.arch,
        .instruction_pointer = raw.data.instruction_pointer,
    };
    memcpy(out->arguments, raw.data.args, sizeof out->arguments);
    return 0;
}

int pc_listener_respond(int listener, uint64_t id, int64_t value, int32_t error, int continues) {
    struct seccomp_notif_resp response = {
        .id = id,
        .val = value,
        .error = error,
        .flags = continues ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
    };
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 ? -errno : 0;
}

int pc_listener_is_valid(int listener, uint64_t id) {
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0 ? -errno : 0;
}

int pc_listener_add_descriptor(int listener, uint64_t id, int descriptor, uint32_t flags, int answers) {
    struct seccomp_notif_addfd request = {
        .id = id,
        .flags = answers ? SECCOMP_ADDFD_FLAG_SEND : 0,
        .srcfd = (uint32_t)descriptor,
        .newfd_flags = flags,
    };
    int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
    return number < 0 ? -errno : number;
}

int pc_listener_wake_synchronously(int listener) {
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, PC_SYNC_WAKE_UP) < 0 ? -errno : 0;
}
