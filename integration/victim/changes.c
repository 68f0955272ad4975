// Verbs that change a name or metadata by one call each.

#include "victim.h"

#include <errno.h>
#include <sys/time.h>
#include <signal.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

int do_unlink(char **a) { return done(unlink(a[0])); }
int do_unlinkat(char **a) { return done(unlinkat(AT_FDCWD, a[0], 0)); }
int do_rmdir(char **a) { return done(rmdir(a[0])); }
int do_mkdir(char **a) { return done(mkdir(a[0], 0755)); }
int do_mkfifo(char **a) { return done(mkfifo(a[0], 0644)); }
int do_mknod(char **a) { return done(mknod(a[0], S_IFREG | 0644, 0)); }
int do_exchange(char **a) { return done(syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], 2)); }
int do_truncate(char **a) { return done(truncate(a[0], 0)); }
int do_chmod(char **a) { return done(chmod(a[0], 0777)); }
int do_fchmodat(char **a) { return done(fchmodat(AT_FDCWD, a[0], 0777, 0)); }
int do_chown(char **a) { return done(chown(a[0], 1, 1)); }
int do_lchown(char **a) { return done(lchown(a[0], 1, 1)); }
int do_setxattr(char **a) { return done(setxattr(a[0], "trusted.x", "v", 1, 0)); }
int do_removexattr(char **a) { return done(removexattr(a[0], "trusted.x")); }

int do_set_times(char **a) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    return done(utimensat(AT_FDCWD, a[0], times, 0));
}

int do_utime(char **a) {
    struct utimbuf times = {1, 1};
    return done(utime(a[0], &times));
}

// A name for what a descriptor without rights pins.
int do_link_pinned(char **a) {
    int fd = open(a[0], O_PATH);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return done(linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW));
}

int do_link_empty(char **a) { return done(linkat(open(a[0], O_PATH), "", AT_FDCWD, a[1], AT_EMPTY_PATH)); }

// By descriptors that are open for reading.
int do_fchmod(char **a) { return done(fchmod(open(a[0], O_RDONLY), 0777)); }
int do_fchown(char **a) { return done(fchown(open(a[0], O_RDONLY), 1, 1)); }
int do_fsetxattr(char **a) { return done(fsetxattr(open(a[0], O_RDONLY), "trusted.x", "v", 1, 0)); }

int do_futimens(char **a) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    return done(futimens(open(a[0], O_RDONLY), times));
}

// Through a write to what a descriptor without rights pins.
int do_reopen_write(char **a) {
    int fd = open(a[0], O_PATH);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return done(open(path, O_WRONLY | O_TRUNC));
}

int do_write_at(char **a) { return done(openat(open(a[0], O_RDONLY | O_DIRECTORY), a[1], O_WRONLY | O_TRUNC)); }

static void ignore(int signal) { (void)signal; }

// Makes and opens COUNT things below a directory while a signal comes all the time; how many calls failed.
static int interrupted(char **a) {
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 150}, {0, 150}};
    setitimer(ITIMER_REAL, &often, NULL);
    int count = atoi(a[1]), errors = 0;
    char name[4200];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/d%d", a[0], i);
        if (mkdir(name, 0755) < 0) errors++;
        snprintf(name, sizeof name, "%s/f%d", a[0], i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (fd < 0) errors++;
        else close(fd);
        if (unlink(name) < 0) errors++;
    }
    return errors;
}

int do_interrupted(char **a) {
    printf("errors %d\n", interrupted(a));
    return 0;
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

// The same; how many descriptors it has then that it did not get.
int do_interrupted_left(char **a) {
    int before = open_descriptors();
    interrupted(a);
    printf("left %d\n", open_descriptors() - before);
    return 0;
}
