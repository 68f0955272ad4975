#include "pc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif
#define PC_STATX_MNT_ID_UNIQUE 0x00004000U

/// The kernel's struct statx; glibc's may be too old to know the mount id.
struct pc_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct {
        int64_t sec;
        uint32_t nsec;
        int32_t reserved;
    } atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id;
    uint32_t dio_mem_align, dio_offset_align;
    uint64_t spare3[12];
};
_Static_assert(sizeof(struct pc_statx) == 256, "struct statx is 256 bytes");

static char *append_number(char *at, uint32_t value) {
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count != 0)
        *at++ = digits[--count];
    return at;
}

static int proc_path(char *out, size_t capacity, int32_t pid, const char *leaf) {
    size_t length = strlen(leaf);
    if (pid <= 0 || length + 12 > capacity)
        return -EINVAL;
    char *at = append_number(out, (uint32_t)pid);
    *at++ = '/';
    memcpy(at, leaf, length + 1);
    return 0;
}

int pc_mount_id_from_fdinfo(int fd, uint64_t *out) {
    if (fd < 0)
        return -EBADF;
    char path[40] = "/proc/self/fdinfo/";
    *append_number(path + 18, (uint32_t)fd) = 0;
    int info = pc_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (info < 0)
        return info;
    char text[256];
    ssize_t length = pc_read(info, text, sizeof text - 1);
    pc_close(info);
    if (length < 0)
        return (int)length;
    text[length] = 0;
    const char *at = strstr(text, "mnt_id:");
    if (at == NULL)
        return -ENODATA;
    at += 7;
    while (*at == ' ' || *at == '\t')
        at++;
    uint64_t value = 0;
    if (*at < '0' || *at > '9')
        return -ENODATA;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *out = value;
    return 0;
}

static int raw_statx(int directory, const char *path, int follow, uint32_t mask, struct pc_statx *out) {
    int flags = AT_STATX_DONT_SYNC | (follow ? 0 : AT_SYMLINK_NOFOLLOW) | (path[0] == 0 ? AT_EMPTY_PATH : 0);
    // A kernel older than a member leaves it as it was.
    memset(out, 0, sizeof *out);
    return syscall(SYS_statx, directory, path, flags, mask, out) < 0 ? -errno : 0;
}

int pc_object_status(int directory, const char *path, int follow, struct pc_object_status *out) {
    struct pc_statx raw;
    int result = raw_statx(directory, path, follow, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &raw);
    if (result < 0)
        return result;
    out->device = (uint64_t)raw.dev_major << 32 | raw.dev_minor;
    out->inode = raw.ino;
    out->device_number = (uint64_t)raw.rdev_major << 32 | raw.rdev_minor;
    out->size = raw.size;
    out->mode = raw.mode;
    out->uid = raw.uid;
    out->gid = raw.gid;
    out->nlink = raw.nlink;
    out->has_birth_time = (raw.mask & STATX_BTIME) != 0;
    out->birth_seconds = raw.btime.sec;
    out->birth_nanoseconds = raw.btime.nsec;
    out->mount_id = raw.mnt_id;
    if ((raw.mask & STATX_MNT_ID) == 0) {
        out->mount_id = 0;
        if (path[0] == 0) {
            pc_mount_id_from_fdinfo(directory, &out->mount_id);
        } else {
            int fd = pc_openat(directory, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
            if (fd >= 0) {
                pc_mount_id_from_fdinfo(fd, &out->mount_id);
                pc_close(fd);
            }
        }
    }
    return 0;
}

int pc_descriptor_status(int fd, struct pc_object_status *out) { return pc_object_status(fd, "", 0, out); }

int pc_unique_mount_id(int directory, const char *path, int follow, uint64_t *out) {
    struct pc_statx raw;
    int result = raw_statx(directory, path, follow, PC_STATX_MNT_ID_UNIQUE, &raw);
    if (result < 0)
        return result;
    if ((raw.mask & PC_STATX_MNT_ID_UNIQUE) == 0)
        return -EOPNOTSUPP;
    *out = raw.mnt_id;
    return 0;
}

int pc_file_handle(int fd, uint8_t *handle, uint32_t capacity, uint32_t *length, int32_t *type, int32_t *mount_id) {
    union {
        struct file_handle header;
        uint8_t bytes[sizeof(struct file_handle) + 128];
    } storage;
    memset(&storage, 0, sizeof storage);
    storage.header.handle_bytes = capacity < 128 ? capacity : 128;
    int mount = 0;
    if (name_to_handle_at(fd, "", &storage.header, &mount, AT_EMPTY_PATH) < 0)
        return -errno;
    *length = storage.header.handle_bytes;
    *type = storage.header.handle_type;
    *mount_id = mount;
    memcpy(handle, storage.bytes + offsetof(struct file_handle, f_handle), storage.header.handle_bytes);
    return 0;
}

ssize_t pc_readlink(int directory, const char *path, void *buffer, size_t capacity) {
    ssize_t length = readlinkat(directory, path, buffer, capacity);
    if (length < 0)
        return -errno;
    // A link that fills the buffer may have been cut: the caller must not take the prefix for the name.
    return (size_t)length == capacity ? -ENAMETOOLONG : length;
}

ssize_t pc_descriptor_path(int proc, int fd, void *buffer, size_t capacity) {
    if (fd < 0)
        return -EBADF;
    char path[32] = "self/fd/";
    *append_number(path + 8, (uint32_t)fd) = 0;
    return pc_readlink(proc, path, buffer, capacity);
}

// Whether two descriptors are open on one object, or on one file system.
static int is_same(int one, int other, int whole) {
    struct stat first, second;
    return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
           (!whole || first.st_ino == second.st_ino);
}

ssize_t pc_name_in_mount(int proc, const char *mount_point, int object, char *buffer, size_t capacity) {
    union {
        struct file_handle header;
        uint8_t bytes[sizeof(struct file_handle) + 128];
    } handle = {.header.handle_bytes = 128};
    int id;
    if (name_to_handle_at(object, "", &handle.header, &id, AT_EMPTY_PATH) < 0)
        return -errno;
    int place = open(mount_point, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0)
        return -errno;
    // By way of the current directory: nothing else of O_PATH will do, and to open it otherwise would be an event, and pin the mount.
    int error = !is_same(place, object, 0) ? ENODEV : fchdir(place) < 0 ? errno : 0;
    close(place);
    if (error != 0)
        return -error;
    int found = open_by_handle_at(AT_FDCWD, &handle.header, O_PATH | O_CLOEXEC);
    error = found < 0 ? errno : 0;
    if (chdir("/") < 0 && error == 0)
        error = errno;
    if (error != 0) {
        if (found >= 0)
            close(found);
        return -error;
    }
    ssize_t length = pc_descriptor_path(proc, found, buffer, capacity - 1);
    struct stat status;
    int is_gone = fstat(found, &status) == 0 && status.st_nlink == 0;
    close(found);
    if (length <= 0)
        return length == 0 ? -ENOENT : length;
    buffer[length] = 0;
    // Of what is not below the mount's own root it has a name, too, but it leads elsewhere.
    int named = is_gone ? -1 : open(buffer, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int is_right = is_gone || (named >= 0 && is_same(named, object, 1));
    if (named >= 0)
        close(named);
    return is_right ? length : -ENOENT;
}

int pc_openat(int directory, const char *path, int flags, uint32_t mode) {
    int fd;
    do
        fd = openat(directory, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int pc_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
#ifdef SYS_openat2
    uint64_t how[3] = {flags | O_CLOEXEC, mode, resolve};
    long fd;
    // EAGAIN: a rename raced with the walk under RESOLVE_BENEATH or RESOLVE_IN_ROOT (openat2(2)).
    int attempts = 0;
    do
        fd = syscall(SYS_openat2, directory, path, how, sizeof how);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && resolve != 0 && ++attempts < 32)));
    return fd < 0 ? -errno : (int)fd;
#else
    (void)directory, (void)path, (void)flags, (void)mode, (void)resolve;
    return -ENOSYS;
#endif
}

ssize_t pc_read(int fd, void *buffer, size_t capacity) {
    ssize_t count;
    do
        count = read(fd, buffer, capacity);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

ssize_t pc_write(int fd, const void *buffer, size_t length) {
    ssize_t count;
    do
        count = write(fd, buffer, length);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

ssize_t pc_pread(int fd, void *buffer, size_t capacity, int64_t offset) {
    ssize_t count;
    do
        count = pread(fd, buffer, capacity, offset);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

ssize_t pc_directory_entries(int fd, void *buffer, size_t capacity) {
    long count = syscall(SYS_getdents64, fd, buffer, capacity);
    return count < 0 ? -errno : count;
}

int pc_close(int fd) { return close(fd) < 0 && errno != EINTR ? -errno : 0; }

int pc_duplicate(int fd, int minimum) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, minimum);
    return copy < 0 ? -errno : copy;
}

int pc_set_close_on_exec(int fd, int on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0; }

int pc_set_nonblocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int pc_set_status_flags(int fd, int flags) { return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0; }

int pc_is_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : (flags & O_NONBLOCK) != 0;
}

int pc_open_path(void) { return O_PATH; }

int pc_take_read_lease(int fd) {
    // First the signal: a writer may come the moment the lease is there.
    return fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0 ? -errno : 0;
}

int pc_release_lease(int fd) { return fcntl(fd, F_SETLEASE, F_UNLCK) < 0 ? -errno : 0; }

int pc_file_system_magic(int fd, int64_t *magic) {
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return -errno;
    *magic = (int64_t)status.f_type;
    return 0;
}

int pc_proc_open(int proc, int32_t pid, const char *leaf, int flags) {
    char path[128];
    int result = proc_path(path, sizeof path, pid, leaf);
    return result < 0 ? result : pc_openat(proc, path, flags, 0);
}

ssize_t pc_proc_read(int proc, int32_t pid, const char *leaf, void *buffer, size_t capacity) {
    int fd = pc_proc_open(proc, pid, leaf, O_RDONLY);
    if (fd < 0)
        return fd;
    size_t total = 0;
    ssize_t count = 0;
    while (total < capacity && (count = pc_read(fd, (char *)buffer + total, capacity - total)) > 0)
        total += (size_t)count;
    pc_close(fd);
    return count < 0 ? count : (ssize_t)total;
}

ssize_t pc_proc_readlink(int proc, int32_t pid, const char *leaf, void *buffer, size_t capacity) {
    char path[128];
    int result = proc_path(path, sizeof path, pid, leaf);
    return result < 0 ? result : pc_readlink(proc, path, buffer, capacity);
}

int pc_proc_object_status(int proc, int32_t pid, const char *leaf, struct pc_object_status *out) {
    char path[128];
    int result = proc_path(path, sizeof path, pid, leaf);
    return result < 0 ? result : pc_object_status(proc, path, 1, out);
}

static void descriptor_leaf(char out[32], const char *folder, int fd) {
    strcpy(out, folder);
    *append_number(out + strlen(folder), (uint32_t)fd) = 0;
}

int pc_proc_pin_descriptor(int proc, int32_t tid, int fd) {
    char leaf[32];
    descriptor_leaf(leaf, "fd/", fd);
    return fd < 0 ? -EBADF : pc_proc_open(proc, tid, leaf, O_PATH);
}

int64_t pc_proc_descriptor_flags(int proc, int32_t tid, int fd) {
    char leaf[32], text[256];
    if (fd < 0)
        return -EBADF;
    descriptor_leaf(leaf, "fdinfo/", fd);
    ssize_t length = pc_proc_read(proc, tid, leaf, text, sizeof text - 1);
    if (length < 0)
        return length;
    text[length] = 0;
    const char *at = strstr(text, "flags:");
    if (at == NULL)
        return -ENODATA;
    int64_t value = 0;
    for (at += 6; *at == ' ' || *at == '\t'; at++) {}
    for (; *at >= '0' && *at <= '7'; at++)
        value = value << 3 | (*at - '0');
    return value;
}

int pc_read_process_memory(int32_t pid, uint64_t address, void *buffer, size_t length) {
    struct iovec local = {buffer, length}, remote = {(void *)(uintptr_t)address, length};
    ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (count < 0)
        return -errno;
    return (size_t)count == length ? 0 : -EFAULT;
}
