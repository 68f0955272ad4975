// A path that another thread changes while the call waits for its verdict (B23), and a supervisor that falls for it.

#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *shared;
static const char *names[2];
static atomic_int over;

static void *flip(void *unused) {
    (void)unused;
    // Of equal length, so that no half of one and half of the other is a third.
    size_t length = strlen(names[0]) + 1;
    for (unsigned i = 0; !atomic_load(&over); i++) {
        memcpy(shared, names[i & 1], length);
        for (volatile int pause = 0; pause < 200; pause++) {}
    }
    return NULL;
}

// Opens what the path names by then, for writing; how often it was `names[1]`.
static int race(int rounds) {
    struct stat secret, opened;
    if (stat(names[1], &secret) < 0) return -1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, flip, NULL) != 0) return -1;
    int won = 0, got = 0;
    for (int i = 0; i < rounds; i++) {
        int fd = openat(AT_FDCWD, shared, O_WRONLY);
        if (fd < 0) continue;
        got++;
        if (fstat(fd, &opened) == 0 && opened.st_ino == secret.st_ino && opened.st_dev == secret.st_dev) won++;
        close(fd);
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    printf("opened %d won %d\n", got, won);
    return 0;
}

// Executes what the path names by then, again and again; allowed programs end with 0, forbidden ones with 1. How often each ran, and how
// often none did.
static int race_executions(int seconds) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, flip, NULL) != 0) return -1;
    int allowed = 0, won = 0, refused = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
        pid_t child = fork();
        if (child == 0) {
            execl(shared, shared, (char *)NULL);
            _exit(2);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child) return -1;
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 2) refused++;
        else if (WEXITSTATUS(status) == 1) won++;
        else allowed++;
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    printf("allowed %d won %d refused %d\n", allowed, won, refused);
    return 0;
}

static int prepare(char **a) {
    names[0] = a[0], names[1] = a[1];
    if (strlen(a[0]) != strlen(a[1])) return -1;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return -1;
    strcpy(shared, a[0]);
    return 0;
}

static int opens(char **a) { return prepare(a) < 0 ? -1 : race(atoi(a[2])); }
static int executes(char **a) { return prepare(a) < 0 ? -1 : race_executions(atoi(a[2])); }

// The path, which the kernel reads again.
static int is_forbidden_path(struct seccomp_notif *request, int pidfd, char **a) {
    (void)pidfd;
    char path[4096] = "";
    uintptr_t address = (uintptr_t)request->data.args[request->data.nr == SYS_openat ? 1 : 0];
    struct iovec ours = {path, strlen(a[1]) + 1}, theirs = {(void *)address, strlen(a[1]) + 1};
    process_vm_readv((pid_t)request->pid, &ours, 1, &theirs, 1, 0);
    return strcmp(path, a[1]) == 0;
}

// ALLOWED FORBIDDEN ROUNDS
int do_race(char **a) { return opens(a) < 0 ? failed() : 0; }
// ALLOWED FORBIDDEN SECONDS
int do_race_exec(char **a) { return executes(a) < 0 ? failed() : 0; }
int do_race_control(char **a) { return careless(a, SCMP_SYS(openat), is_forbidden_path, opens); }
int do_race_exec_control(char **a) { return careless(a, SCMP_SYS(execve), is_forbidden_path, executes); }
