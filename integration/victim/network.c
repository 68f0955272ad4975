// Verbs that ask resolvers, and that use sockets which somebody else made.

#include "victim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void *idle(void *unused) {
    pause();
    return unused;
}

// Another thread shares the descriptors from now on.
static void add_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, idle, NULL);
}

// ADDRESS or [ADDRESS]:PORT
static socklen_t parse(const char *text, struct sockaddr_storage *out) {
    char host[64];
    const char *colon = strrchr(text, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)atoi(colon + 1));
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    inet_pton(AF_INET6, host, &six->sin6_addr);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)atoi(colon + 1));
    return sizeof *six;
}

static size_t question(unsigned char *out, const char *name) {
    static const unsigned char header[12] = {0x12, 0x34, 1, 0, 0, 1};
    memcpy(out, header, 12);
    size_t at = 12;
    while (*name) {
        size_t length = strcspn(name, ".");
        out[at++] = (unsigned char)length;
        memcpy(out + at, name, length);
        at += length;
        name += length + (name[length] == '.');
    }
    out[at++] = 0;
    memcpy(out + at, "\0\1\0\1", 4);
    return at + 4;
}

// The same name, but its end stands in the message's header.
static size_t folded(unsigned char *out, const char *name) {
    size_t length = question(out, name), first = out[12], rest = length - 12 - 4 - 1 - first;
    memcpy(out + 6, out + 13 + first, rest < 6 ? rest : 6);
    memcpy(out + 13 + first, "\300\006\0\1\0\1", 6);
    return 13 + first + 6;
}

static int is(const char *way, const char *other) { return strcmp(way, other) == 0; }

static int answered(int fd) {
    unsigned char reply[512];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, 400) > 0) {
        ssize_t count = recv(fd, reply, sizeof reply, 0);
        printf(count < 0 ? "refused\n" : "answered\n");
    } else {
        printf("unanswered\n");
    }
    return 0;
}

static int over_connection(const char *way, struct sockaddr *to, socklen_t length, const unsigned char *text, size_t size) {
    unsigned char framed[600] = {(unsigned char)(size >> 8), (unsigned char)size};
    memcpy(framed + 2, text, size);
    size += 2;
    int fd = socket(to->sa_family, SOCK_STREAM, 0);
    if (is(way, "tcp-fastopen")) {
        if (sendto(fd, framed, size, MSG_FASTOPEN, to, length) < 0) return failed();
        return answered(fd);
    }
    if (is(way, "tcp-nonblocking")) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (connect(fd, to, length) < 0 && (errno != EINPROGRESS || poll(&wait, 1, 1000) != 1)) return failed();
    } else if (connect(fd, to, length) < 0) {
        return failed();
    }
    struct iovec parts[2] = {{framed, 2}, {framed + 2, size - 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = is(way, "tcp-write") ? writev(fd, parts, 2)
                 : is(way, "tcp-sendmsg") ? sendmsg(fd, &message, 0)
                                          : send(fd, framed, size, 0);
    if (sent < 0) return failed();
    return answered(fd);
}

// PLACE WAY NAME [threads]: asks a resolver for a name; what came of it.
int do_query(char **a) {
    struct sockaddr_storage place;
    socklen_t length = parse(a[0], &place);
    struct sockaddr *to = (struct sockaddr *)&place;
    const char *way = a[1];
    unsigned char text[512], other[512];
    size_t size = is(way, "folded") ? folded(text, a[2]) : question(text, a[2]), harmless = question(other, "harmless.example");
    if (a[3] != NULL) add_thread();
    if (strncmp(way, "tcp", 3) == 0) return over_connection(way, to, length, text, size);
    int fd = socket(to->sa_family, SOCK_DGRAM, 0), sender = fd;
    ssize_t sent;
    struct iovec parts[2] = {{text, 5}, {text + 5, size - 5}}, plain = {other, harmless};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &plain, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}}};
    if (strncmp(way, "connected", 9) == 0) {
        if (is(way, "connected-dup")) sender = dup(fd);
        if (connect(fd, to, length) < 0) return failed();
    } else {
        for (int i = 0; i < 2; i++) messages[i].msg_hdr.msg_name = to, messages[i].msg_hdr.msg_namelen = length;
    }
    if (is(way, "sendmsg") || is(way, "connected-sendmsg")) {
        sent = sendmsg(sender, &messages[1].msg_hdr, 0);
    } else if (is(way, "sendmmsg") || is(way, "connected-sendmmsg")) {
        sent = sendmmsg(sender, messages, 2, 0);
        printf("sent %zd lengths %u %u ", sent, messages[0].msg_len, messages[1].msg_len);
    } else if (is(way, "connected-write")) {
        sent = write(sender, text, size);
    } else if (strncmp(way, "connected", 9) == 0) {
        sent = send(sender, text, size, 0);
    } else if (is(way, "segments")) {
        // Two queries of one length in one send.
        unsigned char both[1024];
        memcpy(both, text, size), memcpy(both + size, text, size);
        memset(both + 13, 'x', both[12]);
        char control[CMSG_SPACE(2)] = {0};
        struct iovec whole = {both, 2 * size};
        struct msghdr message = {.msg_name = to, .msg_namelen = length, .msg_iov = &whole, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_UDP, head->cmsg_type = UDP_SEGMENT, head->cmsg_len = CMSG_LEN(2);
        uint16_t each = (uint16_t)size;
        memcpy(CMSG_DATA(head), &each, 2);
        sent = sendmsg(fd, &message, 0);
    } else if (is(way, "pieces")) {
        sent = sendto(fd, text, 20, MSG_MORE, to, length);
        if (sent >= 0) sent = sendto(fd, text + 20, size - 20, 0, to, length);
    } else if (is(way, "cork")) {
        int on = 1;
        setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof on);
        sent = sendto(fd, text, 20, 0, to, length);
        if (sent >= 0) sent = send(fd, text + 20, size - 20, 0);
        on = 0;
        setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof on);
    } else {
        sent = sendto(fd, text, size, 0, to, length);
    }
    return sent < 0 ? failed() : answered(fd);
}

// DOMAIN TYPE PROTOCOL FD ADDRESS PROGRAM ARGUMENT...: a program that is started with a socket; bound to the address, and listened on,
// unless that is "-".
int do_with_socket(char **a) {
    int fd = socket(atoi(a[0]), atoi(a[1]), atoi(a[2]));
    if (fd < 0) return failed();
    if (!is(a[4], "-")) {
        struct sockaddr_storage place;
        socklen_t length = parse(a[4], &place);
        if (bind(fd, (struct sockaddr *)&place, length) < 0 || listen(fd, 8) < 0) return failed();
    }
    if (dup2(fd, atoi(a[3])) < 0) return failed();
    execv(a[5], a + 5);
    return failed();
}

// FD WAY PLACE [threads]: uses a socket that it was started with.
int do_use_socket(char **a) {
    struct sockaddr_storage place;
    socklen_t length = parse(a[2], &place);
    struct sockaddr *to = (struct sockaddr *)&place;
    int fd = atoi(a[0]);
    const char *way = a[1];
    if (a[3] != NULL) add_thread();
    char text[] = "packet";
    struct iovec part = {.iov_base = text, .iov_len = 6};
    struct mmsghdr messages[2] = {
        {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = to, .msg_namelen = length}},
        {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = to, .msg_namelen = length}}};
    if (is(way, "connect")) return done(connect(fd, to, length));
    if (is(way, "bind")) return done(bind(fd, to, length));
    if (is(way, "listen")) return done(listen(fd, 8));
    if (is(way, "sendto")) return done((int)sendto(fd, text, 6, 0, to, length));
    if (is(way, "sendmsg")) return done((int)sendmsg(fd, &messages[0].msg_hdr, 0));
    if (is(way, "sendmmsg")) return done(sendmmsg(fd, messages, 2, 0));
    if (is(way, "accept") || is(way, "accept4")) {
        struct sockaddr_storage from;
        socklen_t room = sizeof from;
        int accepted = is(way, "accept") ? accept(fd, (struct sockaddr *)&from, &room)
                                         : accept4(fd, (struct sockaddr *)&from, &room, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (accepted < 0) return failed();
        char host[64] = "";
        inet_ntop(from.ss_family, &((struct sockaddr_in *)&from)->sin_addr, host, sizeof host);
        printf("ok from %s length %u flags %d %d\n", host, room, fcntl(accepted, F_GETFD), fcntl(accepted, F_GETFL) & O_NONBLOCK);
        return 0;
    }
    return 2;
}
