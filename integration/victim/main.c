// The victim of the kernel tests: performs one operation in one exact way and prints what the kernel said.
//
// usage: portcullis-victim VERB ARGUMENT...
// Prints "ok" or "errno N NAME" and, for reads, the first bytes. Exits 0 when the operation succeeded, 10 when the kernel
// refused it, 2 on wrong usage. Every verb is one row of the table at the end of the file.

#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

int failed(void) {
    int code = errno;
    printf("errno %d %s\n", code, strerrorname_np(code));
    return 10;
}

static int show(int fd) {
    char text[64];
    ssize_t n = read(fd, text, sizeof text);
    if (n < 0) return failed();
    if (n > 0 && text[n - 1] == '\n') n--;
    printf("ok %.*s\n", (int)n, text);
    return 0;
}

static int opened(int fd) {
    if (fd < 0) return failed();
    return show(fd);
}

static int written(int fd) {
    if (fd < 0) return failed();
    if (write(fd, "OVERWRITTEN\n", 12) != 12) return failed();
    printf("ok\n");
    return 0;
}

int done(long result) {
    if (result < 0) return failed();
    printf("ok\n");
    return 0;
}

static int do_read(char **a) { return opened(open(a[0], O_RDONLY)); }
static int do_write(char **a) { return written(open(a[0], O_WRONLY)); }
static int do_append(char **a) { return written(open(a[0], O_WRONLY | O_APPEND)); }
static int do_readwrite(char **a) { return written(open(a[0], O_RDWR)); }
static int do_truncate_open(char **a) { return written(open(a[0], O_WRONLY | O_TRUNC)); }
static int do_read_truncate(char **a) { return opened(open(a[0], O_RDONLY | O_TRUNC)); }
static int do_creat(char **a) { return written(creat(a[0], 0644)); }
static int do_create(char **a) { return written(open(a[0], O_WRONLY | O_CREAT | O_EXCL, 0644)); }
static int do_tmpfile(char **a) { return written(open(a[0], O_TMPFILE | O_RDWR, 0644)); }
static int do_list(char **a) {
    int fd = open(a[0], O_RDONLY | O_DIRECTORY);
    return done(fd);
}

static int with_openat2(const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}
static int do_openat2(char **a) { return opened(with_openat2(a[0], O_RDONLY)); }
static int do_openat2_write(char **a) { return written(with_openat2(a[0], O_WRONLY)); }

// O_PATH raises no event; the open that makes it readable does.
static int do_reopen(char **a) {
    int handle = open(a[0], O_PATH);
    if (handle < 0) return failed();
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    return opened(open(name, O_RDONLY));
}
static int do_dirfd(char **a) {
    int directory = open(a[0], O_PATH | O_DIRECTORY);
    if (directory < 0) return failed();
    return opened(openat(directory, a[1], O_RDONLY));
}
static int do_relative(char **a) {
    if (chdir(a[0]) != 0) return failed();
    return opened(open(a[1], O_RDONLY));
}
static int do_by_handle(char **a) {
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head.handle_bytes = 128};
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, a[0], &handle.head, &mount_id, 0) != 0) return failed();
    int mount_fd = open(a[1], O_RDONLY | O_DIRECTORY);
    if (mount_fd < 0) return failed();
    return opened(open_by_handle_at(mount_fd, &handle.head, O_RDONLY));
}
static int do_chroot(char **a) {
    if (chroot(a[0]) != 0 || chdir("/") != 0) return failed();
    return opened(open(a[1], O_RDONLY));
}
static int do_chroot_write(char **a) {
    if (chroot(a[0]) != 0 || chdir("/") != 0) return failed();
    return written(open(a[1], O_WRONLY | O_CREAT, 0644));
}
// A private mount namespace in which the file stands under another name.
static int do_bind(char **a) {
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return failed();
    if (mount(a[0], a[1], NULL, MS_BIND, NULL) != 0) return failed();
    return opened(open(a[2], O_RDONLY));
}
// Spoofing: something of ours stands under a trusted name, in a private namespace.
static int do_bind_exec(char **a) {
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return failed();
    if (mount(a[0], a[1], NULL, MS_BIND, NULL) != 0) return failed();
    execv(a[2], (char *[]){a[2], NULL});
    return failed();
}
static int do_exec(char **a) {
    execv(a[0], a);
    return failed();
}
static int do_fork_exec(char **a) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execv(a[0], a);
        _exit(failed() + (fflush(stdout), 0));
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
static int do_memfd_exec(char **a) {
    int program = open(a[0], O_RDONLY);
    if (program < 0) return failed();
    int memory = memfd_create("x", 0);
    char block[65536];
    ssize_t n;
    while ((n = read(program, block, sizeof block)) > 0)
        if (write(memory, block, (size_t)n) != n) return failed();
    syscall(SYS_execveat, memory, "", a, (char *[]){NULL}, AT_EMPTY_PATH);
    return failed();
}
static int do_map_exec(char **a) {
    (void)a;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return done(memory == MAP_FAILED ? -1 : 0);
}
static int do_tmpfile_exec(char **a) {
    int program = open(a[0], O_RDONLY);
    if (program < 0) return failed();
    int file = open(a[1], O_TMPFILE | O_RDWR, 0755);
    if (file < 0) return failed();
    char block[65536];
    ssize_t n;
    while ((n = read(program, block, sizeof block)) > 0)
        if (write(file, block, (size_t)n) != n) return failed();
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    int again = open(name, O_RDONLY | O_CLOEXEC);
    close(file);
    syscall(SYS_execveat, again, "", (char *[]){"x", NULL}, (char *[]){NULL}, AT_EMPTY_PATH);
    return failed();
}

static int do_link(char **a) { return done(link(a[0], a[1])); }
static int do_symlink(char **a) { return done(symlink(a[0], a[1])); }
static int do_rename(char **a) { return done(rename(a[0], a[1])); }

// Opens COUNT times and prints how often it succeeded; the exit code is 0 only when it never did.
static int do_hammer(char **a) {
    long count = atol(a[1]), succeeded = 0, refused = 0;
    for (long i = 0; i < count; i++) {
        int fd = open(a[0], O_RDONLY);
        if (fd >= 0) {
            char byte;
            if (read(fd, &byte, 1) == 1) succeeded++;
            close(fd);
        } else if (errno == EPERM || errno == EACCES) {
            refused++;
        }
    }
    printf("succeeded %ld refused %ld\n", succeeded, refused);
    return succeeded ? 11 : 0;
}
// Opens until killed and prints each success at once.
static int do_hammer_for(char **a) {
    long succeeded = 0, refused = 0;
    double seconds = atof(a[1]);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        int fd = open(a[0], O_RDONLY);
        if (fd >= 0) {
            succeeded++;
            close(fd);
        } else if (errno == EPERM || errno == EACCES) {
            refused++;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("succeeded %ld refused %ld\n", succeeded, refused);
    return succeeded ? 11 : 0;
}
// Opens until the file STOP exists, and at least MINIMUM times.
static int do_hammer_until(char **a) {
    long minimum = atol(a[2]), succeeded = 0, refused = 0;
    for (long i = 0; i < minimum || (i & 63) != 0 || access(a[1], F_OK) != 0; i++) {
        int fd = open(a[0], O_RDONLY);
        if (fd >= 0) {
            succeeded++;
            close(fd);
        } else if (errno == EPERM || errno == EACCES) {
            refused++;
        }
    }
    printf("succeeded %ld refused %ld\n", succeeded, refused);
    return succeeded ? 11 : 0;
}
// Holds a descriptor open: prints "holding", waits for a line on standard input, then reads again through it.
static int do_hold(char **a) {
    int fd = open(a[0], O_RDWR);
    if (fd < 0) return failed();
    printf("holding %d\n", fd);
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof line, stdin)) return 3;
    return show(fd);
}
// Reads from a descriptor that it was started with.
static int do_read_descriptor(char **a) { return show(atoi(a[0])); }

// Opens, and becomes the program PROGRAM that reads through the descriptor.
static int do_pass(char **a) {
    int fd = open(a[0], O_RDONLY);
    if (fd < 0) return failed();
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    execv(a[1], (char *[]){a[1], "read-descriptor", number, NULL});
    return failed();
}
// Opens as another user.
static int do_as(char **a) {
    uid_t user = (uid_t)atol(a[0]);
    if (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0) return failed();
    return opened(open(a[1], O_RDONLY));
}
static int do_as_write(char **a) {
    uid_t user = (uid_t)atol(a[0]);
    if (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0) return failed();
    return written(open(a[1], O_WRONLY));
}
static int do_as_exec(char **a) {
    uid_t user = (uid_t)atol(a[0]);
    if (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0) return failed();
    execv(a[1], a + 1);
    return failed();
}
// A new tmpfs in a private mount namespace, onto which a program is copied and run.
static int do_fresh_mount_exec(char **a) {
    if (mount("fresh", a[1], "tmpfs", 0, "size=16m") != 0) return failed();
    char target[4096];
    snprintf(target, sizeof target, "%s/copy", a[1]);
    int from = open(a[0], O_RDONLY), to = open(target, O_WRONLY | O_CREAT, 0755);
    char block[65536];
    ssize_t n;
    while ((n = read(from, block, sizeof block)) > 0)
        if (write(to, block, (size_t)n) != n) return failed();
    close(to);
    usleep((useconds_t)(atol(a[2]) * 1000));
    execv(target, (char *[]){target, NULL});
    return failed();
}

static const struct {
    const char *name;
    int arguments;
    int (*run)(char **);
} verbs[] = {
    {"read", 1, do_read},
    {"write", 1, do_write},
    {"append", 1, do_append},
    {"readwrite", 1, do_readwrite},
    {"truncate-open", 1, do_truncate_open},
    {"read-truncate", 1, do_read_truncate},
    {"creat", 1, do_creat},
    {"create", 1, do_create},
    {"tmpfile", 1, do_tmpfile},
    {"list", 1, do_list},
    {"openat2", 1, do_openat2},
    {"openat2-write", 1, do_openat2_write},
    {"reopen", 1, do_reopen},
    {"dirfd", 2, do_dirfd},
    {"relative", 2, do_relative},
    {"by-handle", 2, do_by_handle},
    {"chroot", 2, do_chroot},
    {"chroot-write", 2, do_chroot_write},
    {"bind", 3, do_bind},
    {"bind-exec", 3, do_bind_exec},
    {"exec", 1, do_exec},
    {"fork-exec", 1, do_fork_exec},
    {"memfd-exec", 1, do_memfd_exec},
    {"map-exec", 0, do_map_exec},
    {"tmpfile-exec", 2, do_tmpfile_exec},
    {"link", 2, do_link},
    {"symlink", 2, do_symlink},
    {"rename", 2, do_rename},
    {"hammer", 2, do_hammer},
    {"hammer-for", 2, do_hammer_for},
    {"hammer-until", 3, do_hammer_until},
    {"hold", 1, do_hold},
    {"read-descriptor", 1, do_read_descriptor},
    {"pass", 2, do_pass},
    {"as", 2, do_as},
    {"as-write", 2, do_as_write},
    {"as-exec", 2, do_as_exec},
    {"fresh-mount-exec", 3, do_fresh_mount_exec},
    {"socket", 3, do_socket},
    {"socketpair", 3, do_socketpair},
    {"daemon-socket", 3, do_daemon_socket},
    {"unix-bind", 1, do_unix_bind},
    {"other-binds", 0, do_other_binds},
    {"hammer-socket", 4, do_hammer_socket},
    {"send-udp", 2, do_send_udp},
    {"query", 3, do_query},
    {"with-socket", 6, do_with_socket},
    {"use-socket", 3, do_use_socket},
    {"datagrams", 4, do_datagrams},
    {"receive", 3, do_receive},
    {"connect", 3, do_connect},
    {"enter-cgroup", 2, do_enter_cgroup},
    {"like-kernel", 2, do_like_kernel},
    {"flood", 5, do_flood},
    {"map", 1, do_map},
    {"random", 5, do_random_calls},
    {"race", 3, do_race},
    {"race-control", 3, do_race_control},
    {"race-exec", 3, do_race_exec},
    {"race-exec-control", 3, do_race_exec_control},
    {"race-socket", 3, do_race_socket},
    {"race-socket-control", 3, do_race_socket_control},
    {"race-query", 4, do_race_query},
    {"race-query-control", 4, do_race_query_control},
    {"race-connect", 3, do_race_connect},
    {"race-connect-control", 3, do_race_connect_control},
    {"unix-serve", 1, do_unix_serve},
    {"unix-connect", 2, do_unix_connect},
    {"unix-full", 1, do_unix_full},
    {"unlink", 1, do_unlink},
    {"unlinkat", 1, do_unlinkat},
    {"rmdir", 1, do_rmdir},
    {"mkdir", 1, do_mkdir},
    {"mkfifo", 1, do_mkfifo},
    {"mknod", 1, do_mknod},
    {"exchange", 2, do_exchange},
    {"truncate", 1, do_truncate},
    {"chmod", 1, do_chmod},
    {"fchmodat", 1, do_fchmodat},
    {"chown", 1, do_chown},
    {"lchown", 1, do_lchown},
    {"setxattr", 1, do_setxattr},
    {"removexattr", 1, do_removexattr},
    {"set-times", 1, do_set_times},
    {"utime", 1, do_utime},
    {"link-pinned", 2, do_link_pinned},
    {"link-empty", 2, do_link_empty},
    {"fchmod", 1, do_fchmod},
    {"fchown", 1, do_fchown},
    {"fsetxattr", 1, do_fsetxattr},
    {"futimens", 1, do_futimens},
    {"reopen-write", 1, do_reopen_write},
    {"write-at", 2, do_write_at},
    {"interrupted", 2, do_interrupted},
    {"interrupted-left", 2, do_interrupted_left},
    {"syscall", 4, do_syscall},
    {"int80", 4, do_int80},
};

int main(int count, char **arguments) {
    if (count >= 2) {
        for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++) {
            if (strcmp(arguments[1], verbs[i].name) == 0 && count >= verbs[i].arguments + 2) {
                return verbs[i].run(arguments + 2);
            }
        }
    }
    fprintf(stderr, "usage: portcullis-victim VERB ARGUMENT...\n");
    return 2;
}
