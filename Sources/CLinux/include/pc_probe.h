#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

/// seccomp(2) SECCOMP_GET_ACTION_AVAIL (Linux 4.14): 0 if the kernel knows `action`, else -errno.
int pc_seccomp_action_available(uint32_t action);
/// seccomp(2) SECCOMP_GET_NOTIF_SIZES (Linux 5.0).
int pc_seccomp_notification_sizes(uint16_t *notification, uint16_t *response, uint16_t *data);
/// Whether the running kernel has seccomp filter flag `flag`: a null program gives EFAULT when all flags are known and
/// EINVAL when not. Nothing is installed.
int pc_seccomp_flag_known(uint64_t flag);
/// SECCOMP_IOCTL_NOTIF_ADDFD (Linux 5.9), tried on a real listener that a forked child installs on itself: 0 or -errno.
int pc_seccomp_addfd_probe(void);
/// The same with SECCOMP_ADDFD_FLAG_SEND (Linux 5.14), which answers in the same step.
int pc_seccomp_addfd_send_probe(void);
/// SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (Linux 6.6) on such a listener: 0 or -errno.
int pc_seccomp_sync_wake_up_probe(void);
/// landlock_create_ruleset(2) LANDLOCK_CREATE_RULESET_VERSION: the ABI number or -errno.
int pc_landlock_abi(void);
/// io_uring_setup(2) with arguments that are always refused: 0 if the caller could make a ring, -EPERM if
/// kernel.io_uring_disabled (Linux 6.6) or a filter forbids it, -ENOSYS if the kernel has none.
int pc_io_uring_probe(void);
/// Sends one empty nf_tables request (NFT_MSG_GETGEN) and reads the answer: 0 or -errno.
int pc_nftables_probe(void);
/// A forked child tries unshare(CLONE_NEWUSER): 0 or -errno.
int pc_user_namespace_probe(void);
/// uname(2): the release, NUL-terminated.
int pc_kernel_release(char *buffer, uint32_t capacity);

#pragma clang assume_nonnull end
