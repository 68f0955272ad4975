// A seeded sequence of calls that open, make, remove and change things in one directory, and what the kernel said to each. The same
// seed gives the same calls, so that two runs can be compared.

#include "victim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static uint64_t state;

static uint32_t next(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % limit;
}

#define PICK(list) (list)[next(sizeof(list) / sizeof *(list))]

static const char *top;
static int folder = -1, held = -1, isCapable;

static const char *const leaves[] = {"a", "b", "c", "d", "e", "sub", "sub/x", "sub/y", "sub/deep", "sub/deep/z", "sticky/p", "sticky/q",
                                     "own", "own/m", "link", "link/x", "loop", "pipe", "closed/in", "gone/x"};

// A path to something, in one of the ways it can be said.
static void name(char out[PATH_MAX]) {
    const char *leaf = PICK(leaves);
    switch (next(16)) {
    case 0: snprintf(out, PATH_MAX, "%s/%s", top, leaf); return;
    case 1: snprintf(out, PATH_MAX, "./%s", leaf); return;
    case 2: snprintf(out, PATH_MAX, "sub/../%s", leaf); return;
    case 3: snprintf(out, PATH_MAX, "%s/", leaf); return;
    case 4: snprintf(out, PATH_MAX, "sub//deep/.././..//%s", leaf); return;
    case 5: snprintf(out, PATH_MAX, "/proc/self/cwd/%s", leaf); return;
    case 6: snprintf(out, PATH_MAX, "/proc/thread-self/cwd/%s", leaf); return;
    case 7: snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", folder, leaf); return;
    case 8: snprintf(out, PATH_MAX, "/proc/self/fd/%d", held); return;
    case 9: snprintf(out, PATH_MAX, "/dev/fd/%d", held); return;
    case 10:
        switch (next(6)) {
        case 0: strcpy(out, "."); return;
        case 1: strcpy(out, "sub/.."); return;
        case 2: strcpy(out, ""); return;
        case 3: strcpy(out, "sub/."); return;
        case 4: memset(out, 'n', 300), out[300] = 0; return;
        default: strcpy(out, "a/b"); return;
        }
    default: strcpy(out, leaf);
    }
}

static const int opens[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
                            O_WRONLY | O_CREAT | O_TRUNC, O_RDONLY | O_CREAT, O_WRONLY | O_APPEND, O_RDONLY | O_TRUNC,
                            O_WRONLY | O_NOFOLLOW, O_RDWR | O_CREAT | O_NOFOLLOW, O_WRONLY | O_DIRECTORY, O_RDWR | O_TMPFILE,
                            O_RDONLY | O_CREAT | O_EXCL, O_ACCMODE, O_PATH | O_RDWR, O_PATH | O_CREAT};
static const mode_t modes[] = {0644, 0600, 0777, 0, 04755, 02755, 01777, 0444, 0200, 0311};

// A pipe's writer would wait for a reader.
static int opened(int directory, const char *path) {
    int flags = PICK(opens) | O_NONBLOCK | (next(2) ? O_CLOEXEC : 0);
    mode_t mode = PICK(modes);
    int fd = directory == AT_FDCWD && next(2) ? open(path, flags, mode) : openat(directory, path, flags, mode);
    printf(" %o %o", flags & ~O_NONBLOCK, mode);
    if (fd < 0) return -1;
    struct stat about;
    ssize_t count = (flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0 ? write(fd, "text", 1 + next(4)) : 0;
    // O_NOFOLLOW has done its work, and is not kept when an object is opened in the caller's name.
    printf(" wrote %zd flags %o %o", count, fcntl(fd, F_GETFL) & ~O_NONBLOCK & ~O_NOFOLLOW, fcntl(fd, F_GETFD));
    if (fstat(fd, &about) == 0) printf(" %o %u:%u %ld", about.st_mode, about.st_uid, about.st_gid, (long)about.st_size);
    if (next(8) == 0 && S_ISREG(about.st_mode)) {
        dup2(fd, held);
    }
    close(fd);
    return fd;
}

static long act(uint32_t kind) {
    char one[PATH_MAX], two[PATH_MAX];
    name(one);
    name(two);
    int at = next(4) ? AT_FDCWD : folder;
    struct timespec times[2] = {{next(100000), next(1000) * 1000}, {next(100000), 0}};
    struct timeval marks[2] = {{next(100000), next(1000)}, {next(100000), 0}};
    struct utimbuf both = {next(100000), next(100000)};
    uint32_t flag = next(3);
    printf(" %u %s", kind, one);
    switch (kind) {
    case 0: case 1: case 2: case 3: case 4: case 5: case 6: case 7: return opened(at, one);
    case 8: return flag ? unlink(one) : unlinkat(at, one, 0);
    case 9: return flag ? rmdir(one) : unlinkat(at, one, AT_REMOVEDIR);
    case 10: printf(" %s", two); return flag ? rename(one, two) : renameat(at, one, folder, two);
    case 11: printf(" %s %u", two, flag); return syscall(SYS_renameat2, at, one, AT_FDCWD, two, flag);
    case 12: printf(" %s", two); return flag ? link(one, two) : linkat(at, one, AT_FDCWD, two, AT_SYMLINK_FOLLOW);
    case 13: printf(" %s", two); return flag ? symlink(one, two) : symlinkat(one, at, two);
    case 14: return flag ? mkdir(one, PICK(modes)) : mkdirat(at, one, PICK(modes));
    case 15: return mknod(one, S_IFIFO | PICK(modes), 0);
    case 16: return mknodat(at, one, S_IFREG | PICK(modes), 0);
    case 17: return mknod(one, S_IFCHR | 0666, makedev(1, 3));
    case 18: return truncate(one, (off_t)next(9000) - 10);
    case 19: return flag ? chmod(one, PICK(modes)) : fchmodat(at, one, PICK(modes), 0);
    case 20: return chown(one, next(2) ? 1000 : (uid_t)-1, next(2) ? 5000 : (gid_t)-1);
    case 21: return flag ? lchown(one, 1000, 1000) : fchownat(at, one, 1000, (gid_t)-1, AT_SYMLINK_NOFOLLOW);
    case 22: return flag ? setxattr(one, "user.x", "value", next(6), (int)next(3)) : lsetxattr(one, "user.x", "v", 1, 0);
    case 23: return flag ? removexattr(one, "user.x") : lremovexattr(one, "trusted.y");
    case 24: return setxattr(one, "trusted.y", "t", 1, 0);
    case 25: return flag == 0 ? utimensat(at, one, times, 0)
                  : flag == 1 ? utimensat(at, one, times, AT_SYMLINK_NOFOLLOW) : utimes(one, marks);
    case 26: return flag ? utime(one, &both) : futimesat(at, one, marks);
    case 27: return flag ? fchmod(held, PICK(modes)) : fchmod(folder, 0755);
    case 28: return flag ? fchown(held, 1000, (gid_t)-1) : futimens(held, times);
    case 29: return flag ? fsetxattr(held, "user.x", "held", 4, 0) : fremovexattr(held, "user.x");
    case 30: umask(PICK(modes) & 0777); return 0;
    case 31: return chdir(next(2) ? top : "sub");
    // Without CAP_DAC_READ_SEARCH it depends on the kernel (6.10) and on who opened the descriptor.
    case 32: return isCapable ? linkat(held, "", AT_FDCWD, two, AT_EMPTY_PATH) : 0;
    case 33: return fchownat(held, "", 1000, (gid_t)-1, AT_EMPTY_PATH);
    default: return syscall(SYS_utimensat, AT_FDCWD, NULL, times, 0);
    }
}

static void show(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) printf("%s unreadable %d\n", path, errno);
    for (int i = 0; i < count; i++) {
        const char *leaf = entries[i]->d_name;
        char whole[PATH_MAX], text[PATH_MAX];
        if (strcmp(leaf, ".") != 0 && strcmp(leaf, "..") != 0 && snprintf(whole, sizeof whole, "%s/%s", path, leaf) < PATH_MAX) {
            struct stat about;
            if (lstat(whole, &about) == 0) {
                printf("%s %o %u:%u %lu %ld", whole, about.st_mode, about.st_uid, about.st_gid, (unsigned long)about.st_nlink,
                       S_ISDIR(about.st_mode) ? 0L : (long)about.st_size);
                // Set, not the present.
                if (about.st_mtime < 1000000) printf(" %ld.%09ld", (long)about.st_mtime, about.st_mtim.tv_nsec);
                ssize_t length = readlink(whole, text, sizeof text - 1);
                if (length >= 0) printf(" -> %.*s", (int)length, text);
                length = lgetxattr(whole, "user.x", text, sizeof text);
                if (length >= 0) printf(" x=%.*s", (int)length, text);
                printf("\n");
                if (S_ISDIR(about.st_mode)) show(whole);
            }
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

static void fill(int fd) {
    if (fd >= 0 && write(fd, "begin", 5) == 5) close(fd);
}

static void prepare(void) {
    umask(0);
    mkdir("sub", 0777), mkdir("sub/deep", 0777), mkdir("sticky", 01777), mkdir("own", 02775), mkdir("closed", 0700);
    fill(open("a", O_CREAT | O_WRONLY, 0644));
    fill(open("b", O_CREAT | O_WRONLY, 0666));
    fill(open("closed/in", O_CREAT | O_WRONLY, 0666));
    fill(open("sub/x", O_CREAT | O_WRONLY, 0600));
    fill(open("sticky/p", O_CREAT | O_WRONLY, 0666));
    if (symlink("sub", "link") || symlink("loop", "loop") || symlink("a", "sticky/q") || mkfifo("pipe", 0666)
        || chown("sub/x", 1000, 1000) || chown("own", 1000, 5000))
        perror("prepare");
    umask(027);
}

// random SEED COUNT DIRECTORY USER KEEP: as a user; KEEP = 0 drops all capabilities.
int do_random_calls(char **a) {
    state = strtoull(a[0], NULL, 0) * 0x9e3779b97f4a7c15u + 1;
    uint32_t count = (uint32_t)atoi(a[1]);
    uid_t user = (uid_t)atoi(a[3]);
    top = a[2];
    isCapable = user == 0 && atoi(a[4]) != 0;
    if (chdir(top) < 0) return failed();
    prepare();
    folder = open("sub", O_RDONLY | O_DIRECTORY);
    held = open("b", O_RDWR);
    if (user != 0) {
        gid_t groups[] = {5000, 6000};
        if (setgroups(2, groups) < 0 || setgid(user) < 0 || setuid(user) < 0) return failed();
    } else if (atoi(a[4]) == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[2] = {{0}};
        if (syscall(SYS_capset, &header, none) < 0) return failed();
    }
    for (uint32_t i = 0; i < count; i++) {
        printf("%u", i);
        errno = 0;
        long result = act(next(35));
        printf(" = %ld %s\n", result, result < 0 ? strerrorname_np(errno) : "");
    }
    show(top);
    return 0;
}
