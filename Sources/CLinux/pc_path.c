#include "pc_path.h"
#include "pc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static int done(long result) { return result < 0 ? -errno : 0; }

// The name by which calls without a form for descriptors reach what one pins: following this link leads to the object
// itself, even if it is a symbolic link (proc(5)).
struct object_name {
    char text[32];
};

static struct object_name name_of(int object) {
    struct object_name name;
    snprintf(name.text, sizeof name.text, "/proc/self/fd/%d", object);
    return name;
}

int pc_unlink(int directory, const char *name, int flags) { return done(unlinkat(directory, name, flags)); }

int pc_rename(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags) {
    return done(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

int pc_link_object(int object, int directory, const char *name) {
    return done(linkat(AT_FDCWD, name_of(object).text, directory, name, AT_SYMLINK_FOLLOW));
}

int pc_symlink(const char *target, int directory, const char *name) {
    return done(symlinkat(target, directory, name));
}

int pc_mkdir(int directory, const char *name, uint32_t mode) { return done(mkdirat(directory, name, mode)); }

int pc_mknod(int directory, const char *name, uint32_t mode, uint64_t device) {
    return done(syscall(SYS_mknodat, directory, name, mode, (unsigned)device));
}

int pc_reopen_object(int object, int flags, uint32_t mode) {
    return pc_open_once(AT_FDCWD, name_of(object).text, flags, mode);
}

int pc_open_once(int directory, const char *name, int flags, uint32_t mode) {
    // The system call: the C library would add and hide flags.
    long fd = syscall(SYS_openat, directory, name, flags | O_CLOEXEC, mode);
    return fd < 0 ? -errno : (int)fd;
}

int pc_truncate_object(int object, int64_t length) { return done(truncate(name_of(object).text, length)); }

int pc_chmod_object(int object, uint32_t mode) { return done(chmod(name_of(object).text, mode)); }

int pc_chown_object(int object, uint32_t uid, uint32_t gid) {
    return done(fchownat(object, "", uid, gid, AT_EMPTY_PATH));
}

int pc_set_attribute(int object, const char *name, const void *value, size_t length, int flags) {
    return done(setxattr(name_of(object).text, name, value, length, flags));
}

int pc_remove_attribute(int object, const char *name) { return done(removexattr(name_of(object).text, name)); }

static const struct timespec *moments(const int64_t *times, struct timespec out[2]) {
    if (times == NULL)
        return NULL;
    for (int i = 0; i < 2; i++)
        out[i] = (struct timespec){.tv_sec = times[2 * i], .tv_nsec = (long)times[2 * i + 1]};
    return out;
}

int pc_set_times(int object, const int64_t *times) {
    struct timespec both[2];
    return done(utimensat(AT_FDCWD, name_of(object).text, moments(times, both), 0));
}

int pc_file_system_flags(int object, int64_t *magic, int64_t *flags) {
    struct statfs status;
    if (fstatfs(object, &status) < 0)
        return -errno;
    *magic = (int64_t)status.f_type;
    *flags = (int64_t)status.f_flags;
    return 0;
}

ssize_t pc_read_process_string(int32_t tid, uint64_t address, char *buffer, size_t capacity) {
    size_t used = 0;
    while (used < capacity) {
        // Page by page: what lies behind the string need not be mapped.
        uint64_t at = address + used;
        size_t chunk = 4096 - (size_t)(at & 4095);
        if (chunk > capacity - used)
            chunk = capacity - used;
        int error = pc_read_process_memory(tid, at, buffer + used, chunk);
        if (error < 0)
            return error == -ENOMEM || error == -EIO ? -EFAULT : error;
        for (size_t i = 0; i < chunk; i++)
            if (buffer[used + i] == 0)
                return (ssize_t)(used + i);
        used += chunk;
    }
    return -ENAMETOOLONG;
}

int pc_write_memory(int file, uint64_t address, const void *bytes, size_t length) {
    ssize_t count = pwrite(file, bytes, length, (off_t)address);
    return count == (ssize_t)length ? 0 : count < 0 && errno != EIO ? -errno : -EFAULT;
}
