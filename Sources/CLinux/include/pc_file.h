#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// Identity and attributes of one file system object.
struct pc_object_status {
    /// major << 32 | minor
    uint64_t device;
    uint64_t inode;
    /// Of a device file: major << 32 | minor.
    uint64_t device_number;
    /// As in mountinfo(5); 0 if neither statx(2) nor fdinfo told it.
    uint64_t mount_id;
    uint64_t size;
    /// Seconds and nanoseconds since the epoch; valid only if `has_birth_time`.
    int64_t birth_seconds;
    uint32_t birth_nanoseconds;
    uint32_t has_birth_time;
    uint32_t mode, uid, gid, nlink;
};

/// statx(2) of `path` relative to `directory`, or of `directory` itself if `path` is empty. `follow` = 0 stops at a
/// final symbolic link. Attributes are not refreshed from a remote server (AT_STATX_DONT_SYNC), because a server that
/// waits for our answer would never reply. Mount id: statx since Linux 5.8, before that /proc/self/fdinfo.
int pc_object_status(int directory, const char *path, int follow, struct pc_object_status *out);

/// The same for an open descriptor.
int pc_descriptor_status(int fd, struct pc_object_status *out);

/// The mount id that /proc/self/fdinfo/<fd> reports (Linux 3.15).
int pc_mount_id_from_fdinfo(int fd, uint64_t *out);

/// The 64-bit mount id that is never reused (STATX_MNT_ID_UNIQUE, Linux 6.8); -EOPNOTSUPP on older kernels.
int pc_unique_mount_id(int directory, const char *path, int follow, uint64_t *out);

/// name_to_handle_at(2) of `fd` itself. `handle` gets at most `capacity` bytes. -EOPNOTSUPP if the file system has none.
int pc_file_handle(int fd, uint8_t *handle, uint32_t capacity, uint32_t *length, int32_t *type, int32_t *mount_id);

/// readlinkat(2): the number of bytes, or -errno. Not terminated. -ENAMETOOLONG if it did not fit.
ssize_t pc_readlink(int directory, const char *path, void *buffer, size_t capacity);

/// What an object of a file system is called below one of its mounts, whatever mount it was opened through: by its file handle. Changes the
/// calling thread's current directory, which is / afterwards. Needs CAP_DAC_READ_SEARCH. The length of the path, which is terminated, or -errno:
/// -ENODEV if the mount is of another file system, -ENOENT if it has no name there, -EOPNOTSUPP without handles.
ssize_t pc_name_in_mount(int proc, const char *mount_point, int object, char *buffer, size_t capacity);

/// readlink(2) of /proc/self/fd/<fd>, without allocation.
ssize_t pc_descriptor_path(int proc, int fd, void *buffer, size_t capacity);

/// openat(2), retried on EINTR. O_CLOEXEC is always added.
int pc_openat(int directory, const char *path, int flags, uint32_t mode);

/// openat2(2) (Linux 5.6). O_CLOEXEC is always added.
int pc_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/// read(2), retried on EINTR.
ssize_t pc_read(int fd, void *buffer, size_t capacity);
/// write(2), retried on EINTR.
ssize_t pc_write(int fd, const void *buffer, size_t length);
/// pread(2), retried on EINTR.
ssize_t pc_pread(int fd, void *buffer, size_t capacity, int64_t offset);
/// getdents64(2).
ssize_t pc_directory_entries(int fd, void *buffer, size_t capacity);
/// close(2); EINTR counts as closed, as Linux does.
int pc_close(int fd);
/// fcntl(2) with F_DUPFD_CLOEXEC, at or above `minimum`.
int pc_duplicate(int fd, int minimum);
int pc_set_close_on_exec(int fd, int on);
/// fcntl(2) with F_SETFL O_NONBLOCK.
int pc_set_nonblocking(int fd, int on);
/// fcntl(2) with F_SETFL: what of `flags` can be changed of an open file.
int pc_set_status_flags(int fd, int flags);
/// fcntl(2) F_GETFL: whether O_NONBLOCK is set.
int pc_is_nonblocking(int fd);
/// O_PATH, which needs _GNU_SOURCE.
int pc_open_path(void);
/// fcntl(2) F_SETLEASE with F_RDLCK. A writer's open breaks the lease with a signal, by default SIGIO, which ends the
/// process: it is turned into SIGURG, which by default does nothing.
int pc_take_read_lease(int fd);
/// fcntl(2) F_SETLEASE with F_UNLCK.
int pc_release_lease(int fd);
/// fstatfs(2): f_type in `magic`.
int pc_file_system_magic(int fd, int64_t *magic);

/// The entries of a process's directory in /proc; `proc` is an open descriptor of /proc, `leaf` the name below the pid.
int pc_proc_open(int proc, int32_t pid, const char *leaf, int flags);
/// Reads the whole file, up to `capacity`, in as many read(2) calls as it needs.
ssize_t pc_proc_read(int proc, int32_t pid, const char *leaf, void *buffer, size_t capacity);
ssize_t pc_proc_readlink(int proc, int32_t pid, const char *leaf, void *buffer, size_t capacity);
/// Follows the link: the status of the object that /proc/<pid>/<leaf> stands for.
int pc_proc_object_status(int proc, int32_t pid, const char *leaf, struct pc_object_status *out);

/// O_PATH descriptor of what /proc/<tid>/fd/<fd> leads to, or -errno (-ENOENT: no such descriptor).
int pc_proc_pin_descriptor(int proc, int32_t tid, int fd);
/// The flags in /proc/<tid>/fdinfo/<fd>, or -errno.
int64_t pc_proc_descriptor_flags(int proc, int32_t tid, int fd);

/// process_vm_readv(2): all of `length` bytes, or -errno (-EFAULT if only a part could be read).
int pc_read_process_memory(int32_t pid, uint64_t address, void *buffer, size_t length);

enum { PC_PROC_SUPER_MAGIC = 0x9fa0, PC_CGROUP2_SUPER_MAGIC = 0x63677270 };

#pragma clang assume_nonnull end
