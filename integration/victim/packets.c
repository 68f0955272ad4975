// Verbs about packets between machines.

#include "victim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t address_of(const char *host, const char *port, struct sockaddr_storage *address) {
    memset(address, 0, sizeof *address);
    if (strchr(host, ':') != NULL) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)atoi(port));
        inet_pton(AF_INET6, host, &six->sin6_addr);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, host, &four->sin_addr);
    return sizeof *four;
}

// HOST PORT COUNT SIZE: sends datagrams from one socket; prints how many were taken, and the errno of the last that was not.
int do_datagrams(char **a) {
    static const char bytes[65536];
    struct sockaddr_storage address;
    socklen_t length = address_of(a[0], a[1], &address);
    int fd = socket(address.ss_family, SOCK_DGRAM, 0);
    if (fd < 0) return done(-1);
    int sent = 0, error = 0;
    for (int i = 0; i < atoi(a[2]); i++) {
        if (sendto(fd, bytes, (size_t)atoi(a[3]), 0, (struct sockaddr *)&address, length) < 0)
            error = errno;
        else
            sent++;
    }
    printf("sent %d errno %d\n", sent, error);
    return 0;
}

// HOST PORT MILLISECONDS: receives datagrams; prints "ready", and at the end how many came.
int do_receive(char **a) {
    char bytes[65536];
    struct sockaddr_storage address;
    socklen_t length = address_of(a[0], a[1], &address);
    int fd = socket(address.ss_family, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0) return done(-1);
    printf("ready\n");
    fflush(stdout);
    int count = 0;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (poll(&waiting, 1, atoi(a[2])) > 0 && recv(fd, bytes, sizeof bytes, 0) >= 0) count++;
    printf("received %d\n", count);
    return 0;
}

// HOST PORT MILLISECONDS: connects by TCP.
int do_connect(char **a) {
    struct sockaddr_storage address;
    socklen_t length = address_of(a[0], a[1], &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) return done(-1);
    if (connect(fd, (struct sockaddr *)&address, length) == 0) return done(0);
    if (errno != EINPROGRESS) return done(-1);
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    if (poll(&waiting, 1, atoi(a[2])) != 1) errno = ETIMEDOUT;
    else {
        socklen_t size = sizeof errno;
        int error = 0;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) return done(0);
        errno = error;
    }
    return done(-1);
}

// PATH COMMAND...: writes its own number into a file, of a cgroup for example, and becomes the command.
int do_enter_cgroup(char **a) {
    int fd = open(a[0], O_WRONLY);
    if (fd < 0 || dprintf(fd, "%d", getpid()) < 0) return failed();
    close(fd);
    execvp(a[1], a + 1);
    return failed();
}
