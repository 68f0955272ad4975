#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Calls that change names or metadata. 0 or -errno. `name` is looked up in `directory` as the kernel does it; where an object is
// meant, it is a descriptor, O_PATH ones included, and the call is made on what it pins, a symbolic link being one too.

int pc_unlink(int directory, const char *name, int flags);
int pc_rename(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags);
/// linkat(2) of an object.
int pc_link_object(int object, int directory, const char *name);
int pc_symlink(const char *target, int directory, const char *name);
int pc_mkdir(int directory, const char *name, uint32_t mode);
/// `device` as mknod(2) has it.
int pc_mknod(int directory, const char *name, uint32_t mode, uint64_t device);

/// Opens an object anew: open(2) of /proc/self/fd/<object>. A descriptor or -errno; O_CLOEXEC is always added. Not retried on
/// EINTR. `mode` counts for O_TMPFILE.
int pc_reopen_object(int object, int flags, uint32_t mode);
/// openat(2), not retried on EINTR: a signal may be what ends a wait. O_CLOEXEC is always added.
int pc_open_once(int directory, const char *name, int flags, uint32_t mode);
int pc_truncate_object(int object, int64_t length);
int pc_chmod_object(int object, uint32_t mode);
int pc_chown_object(int object, uint32_t uid, uint32_t gid);
/// setxattr(2); `value` may be null if `length` is 0.
int pc_set_attribute(int object, const char *name, const void *_Nullable value, size_t length, int flags);
int pc_remove_attribute(int object, const char *name);
/// utimensat(2): access and change time in seconds and nanoseconds; null = now.
int pc_set_times(int object, const int64_t *_Nullable times);

/// statfs(2) of an object: f_type and f_flags (ST_*).
int pc_file_system_flags(int object, int64_t *magic, int64_t *flags);

/// process_vm_readv(2) of a string with its zero byte: its length without it, -EFAULT, or -ENAMETOOLONG when there is no zero
/// byte in `capacity` bytes.
ssize_t pc_read_process_string(int32_t tid, uint64_t address, char *buffer, size_t capacity);

/// pwrite(2) of all bytes to /proc/<tid>/mem. 0 or -errno (-EFAULT).
int pc_write_memory(int file, uint64_t address, const void *bytes, size_t length);

#pragma clang assume_nonnull end
