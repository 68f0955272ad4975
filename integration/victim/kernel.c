// Kernels that are not to be had: a seccomp filter that answers what they would.
#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

// Refuses a call if an argument has all of these bits.
static int refuse(scmp_filter_ctx filter, int call, unsigned argument, unsigned long bits, int error) {
    return seccomp_rule_add(
        filter, SCMP_ACT_ERRNO((unsigned)error), call, 1, SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, bits, bits));
}

// What Linux 4.19 has not, of what an agent may want: filesystem marks, executions and threads in events, names in events, seccomp
// listeners, pidfds, openat2, close_range. A release with the original fanotify can be had nowhere any more; Debian's 5.10 has that of 6.x.
static int become_4_19(scmp_filter_ctx filter) {
    // FAN_REPORT_PIDFD, _TID, _FID, _DIR_FID, _NAME, _TARGET_FID, _FD_ERROR, _MNT
    static const unsigned long init_flags[] = {0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x4000};
    // FAN_MARK_FILESYSTEM (and _MNTNS), _EVICTABLE, _IGNORE
    static const unsigned long mark_flags[] = {0x100, 0x200, 0x400};
    // FAN_ATTRIB to FAN_MOVE_SELF but the old ones, FAN_OPEN_EXEC, FAN_OPEN_EXEC_PERM, FAN_PRE_ACCESS, FAN_RENAME
    static const unsigned long mark_masks[] = {0x4, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x40000, 0x100000, 0x10000000};
    static const int absent[] = {
        SYS_pidfd_open, SYS_pidfd_send_signal, 438 /* pidfd_getfd */, 435 /* clone3 */, 436 /* close_range */, 437 /* openat2 */,
        425 /* io_uring_setup */, 440 /* process_madvise */, 444, 445, 446 /* landlock */, 428, 429, 430, 442 /* mounts */,
    };
    int result = 0;
    for (size_t i = 0; i < sizeof init_flags / sizeof *init_flags; i++)
        result |= refuse(filter, SYS_fanotify_init, 0, init_flags[i], EINVAL);
    for (size_t i = 0; i < sizeof mark_flags / sizeof *mark_flags; i++)
        result |= refuse(filter, SYS_fanotify_mark, 1, mark_flags[i], EINVAL);
    for (size_t i = 0; i < sizeof mark_masks / sizeof *mark_masks; i++)
        result |= refuse(filter, SYS_fanotify_mark, 2, mark_masks[i], EINVAL);
    result |= refuse(filter, SYS_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, EINVAL);
    result |= seccomp_rule_add(
        filter, SCMP_ACT_ERRNO(EINVAL), SYS_seccomp, 1, SCMP_CMP64(0, SCMP_CMP_EQ, SECCOMP_GET_NOTIF_SIZES, 0));
    result |= refuse(filter, SYS_clone, 0, 0x1000 /* CLONE_PIDFD */, EINVAL);
    result |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SYS_waitid, 1, SCMP_CMP64(0, SCMP_CMP_EQ, 3 /* P_PIDFD */, 0));
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        result |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), absent[i], 0);
    return result;
}

// Landlock came with 5.13.
static int become_5_12(scmp_filter_ctx filter) {
    int result = 0;
    for (int call = 444; call <= 446; call++)
        result |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0);
    return result;
}

static const struct {
    const char *release;
    int (*become)(scmp_filter_ctx filter);
} kernels[] = {{"4.19", become_4_19}, {"5.12", become_5_12}};

// RELEASE PROGRAM ARGUMENT...: becomes the program, on a kernel that answers like the release.
int do_like_kernel(char **arguments) {
    size_t kernel = 0, count = sizeof kernels / sizeof *kernels;
    while (kernel < count && strcmp(arguments[0], kernels[kernel].release) != 0)
        kernel++;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL || kernel == count) {
        fprintf(stderr, "like-kernel: 4.19 and 5.12 are all there are\n");
        return 2;
    }
    // Root needs no no_new_privs, which a kernel would not set either.
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() == 0 ? 0 : 1) | kernels[kernel].become(filter);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result != 0) {
        fprintf(stderr, "like-kernel: the filter is refused\n");
        return 2;
    }
    execvp(arguments[1], arguments + 1);
    return failed();
}
