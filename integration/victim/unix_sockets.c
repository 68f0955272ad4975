// Connections by name: AF_UNIX.

#include "victim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// A name that begins with @ has no place in a filesystem.
static socklen_t name_of(const char *text, struct sockaddr_un *name) {
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(name->sun_path, sizeof name->sun_path, "%s", text);
    if (text[0] != '@') return sizeof *name;
    name->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text));
}

static int services[16];

static void *serve(void *pointer) {
    const int *service = pointer;
    for (;;) {
        int fd = accept(*service, NULL, NULL);
        if (fd < 0) return NULL;
        struct ucred peer;
        socklen_t size = sizeof peer;
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
        char text[32];
        dprintf(1, "%d user %u\n", (int)(service - services), peer.uid);
        send(fd, text, (size_t)snprintf(text, sizeof text, "user %u\n", peer.uid), MSG_NOSIGNAL);
        close(fd);
    }
}

// NAME...: takes connections from everybody; a line says which one's somebody came to, and who.
int do_unix_serve(char **a) {
    for (int count = 0; a[count] && count < 16; count++) {
        struct sockaddr_un name;
        socklen_t length = name_of(a[count], &name);
        services[count] = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(services[count], (struct sockaddr *)&name, length) < 0 || listen(services[count], 1000) < 0)
            return failed();
        if (a[count][0] != '@') chmod(a[count], 0777);
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, &services[count]) != 0) return failed();
    }
    dprintf(1, "ready\n");
    for (;;) pause();
}

// NAME WAY: connects in one of the ways there are, and prints what it is told.
int do_unix_connect(char **a) {
    struct sockaddr_un name;
    socklen_t length = name_of(a[0], &name);
    if (strcmp(a[1], "relative") == 0) {
        // By the last name, in its directory.
        char *last = strrchr(name.sun_path, '/');
        *last = 0;
        if (chdir(name.sun_path) < 0) return failed();
        name_of(strrchr(a[0], '/') + 1, &name);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | (strcmp(a[1], "nonblocking") == 0 ? SOCK_NONBLOCK : 0), 0);
    if (connect(fd, (struct sockaddr *)&name, length) < 0) return failed();
    char text[64] = {0};
    while (recv(fd, text, sizeof text - 1, 0) < 0 && errno == EAGAIN) usleep(1000);
    printf("ok %s", text);
    return 0;
}

static void nothing(int signal) { (void)signal; }

// NAME: connects to a socket of its own whose queue is full: what comes of it at once, after a while, and when a signal comes.
int do_unix_full(char **a) {
    struct sockaddr_un name;
    socklen_t length = name_of(a[0], &name);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&name, length) < 0 || listen(server, 0) < 0) return failed();
    int error = 0;
    while (error == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&name, length) < 0) error = errno;
    }
    printf("%d", error);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct timeval limit = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    printf(" %d", connect(fd, (struct sockaddr *)&name, length) < 0 ? errno : 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    alarm(1);
    printf(" %d", connect(fd, (struct sockaddr *)&name, length) < 0 ? errno : 0);
    // There is room soon: the one that waits gets it.
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    fflush(stdout);
    if (fork() == 0) {
        usleep(200000);
        _exit(accept(server, NULL, NULL) < 0);
    }
    printf(" %d\n", connect(fd, (struct sockaddr *)&name, length) < 0 ? errno : 0);
    return 0;
}

static atomic_int over;
static struct sockaddr_un *shared, names[2];

static void *rewrite(void *unused) {
    for (unsigned i = 0; !atomic_load(&over); i++) {
        memcpy(shared, &names[i & 1], sizeof *shared);
        for (volatile int pause = 0; pause < 200; pause++) {}
    }
    return unused;
}

// Connects to whatever stands in the memory by then; to whom it came.
static int rewritten_connects(char **a) {
    for (int i = 0; i < 2; i++) name_of(a[i], &names[i]);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(shared, &names[0], sizeof *shared);
    pthread_t thread;
    if (pthread_create(&thread, NULL, rewrite, NULL) != 0) return -1;
    int allowed = 0, won = 0, refused = 0, other = 0;
    for (int i = 0, rounds = atoi(a[2]); i < rounds; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr_un peer = {0};
        socklen_t length = sizeof peer;
        if (connect(fd, (struct sockaddr *)shared, sizeof *shared) == 0) {
            getpeername(fd, (struct sockaddr *)&peer, &length);
            if (strcmp(peer.sun_path, names[1].sun_path) == 0) won++;
            else allowed++;
        } else if (errno == EACCES) {
            refused++;
        } else {
            other++;
        }
        close(fd);
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    printf("allowed %d won %d refused %d other %d\n", allowed, won, refused, other);
    return 0;
}

// ALLOWED FORBIDDEN ROUNDS: names of one length.
int do_race_connect(char **a) { return rewritten_connects(a) < 0 ? failed() : 0; }

static int is_forbidden_name(struct seccomp_notif *request, int pidfd, char **a) {
    (void)pidfd;
    struct sockaddr_un name = {0};
    struct iovec ours = {&name, sizeof name}, theirs = {(void *)(uintptr_t)request->data.args[1], sizeof name};
    process_vm_readv((pid_t)request->pid, &ours, 1, &theirs, 1, 0);
    return strcmp(name.sun_path, a[1]) == 0;
}

int do_race_connect_control(char **a) {
    return careless(a, SCMP_SYS(connect), is_forbidden_name, rewritten_connects);
}
