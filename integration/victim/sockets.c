// Verbs about sockets.

#include "victim.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_socket(char **a) { return socket(atoi(a[0]), atoi(a[1]), atoi(a[2])); }

int do_socket(char **a) { return done(open_socket(a)); }

int do_socketpair(char **a) {
    int ends[2];
    return done(socketpair(atoi(a[0]), atoi(a[1]), atoi(a[2]), ends));
}

// By a grandchild whose parent has gone, in a session of its own.
int do_daemon_socket(char **a) {
    fflush(stdout);
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        usleep(20000);
        int result = do_socket(a);
        fflush(stdout);
        _exit(result);
    }
    while (wait(NULL) > 0) {
    }
    // The grandchild holds standard output open: the reader waits for it.
    return 0;
}

// Binds a socket to a path and listens.
int do_unix_bind(char **a) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", a[0]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return done(bind(fd, (struct sockaddr *)&name, sizeof name) < 0 ? -1 : listen(fd, 1));
}

// Binds a TCP socket, a netlink socket and an abstract name, as anybody may; prints what came of it.
int do_other_binds(char **a) {
    (void)a;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof four;
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(tcp, (struct sockaddr *)&four, length) < 0 || getsockname(tcp, (struct sockaddr *)&four, &length) < 0)
        return failed();
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    length = sizeof kernel;
    int netlink = socket(AF_NETLINK, SOCK_RAW, 0);
    if (bind(netlink, (struct sockaddr *)&kernel, length) < 0 ||
        getsockname(netlink, (struct sockaddr *)&kernel, &length) < 0)
        return failed();
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "portcullis-%d", getpid());
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(local, (struct sockaddr *)&name, sizeof name) < 0) return failed();
    int again = bind(local, (struct sockaddr *)&name, sizeof name), none = bind(99, (struct sockaddr *)&name, sizeof name);
    printf("port %d netlink %d again %d none %d\n", four.sin_port != 0, kernel.nl_pid == (unsigned)getpid(), again, none);
    return 0;
}

// Tries COUNT times and prints how often it succeeded.
int do_hammer_socket(char **a) {
    long count = atol(a[3]), succeeded = 0, refused = 0;
    for (long i = 0; i < count; i++) {
        int fd = open_socket(a);
        if (fd >= 0) {
            succeeded++;
            close(fd);
        } else {
            refused++;
        }
    }
    printf("succeeded %ld refused %ld\n", succeeded, refused);
    return succeeded ? 11 : 0;
}

// Sends "packet" to a UDP port of this machine in one of the ways there are.
int do_send_udp(char **a) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(a[0]))};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &six.sin6_addr);
    const char *way = a[1];
    int mapped = strcmp(way, "mapped") == 0;
    int fd = socket(mapped ? AF_INET6 : AF_INET, SOCK_DGRAM, strcmp(way, "lite") == 0 ? IPPROTO_UDPLITE : 0);
    if (fd < 0) return done(-1);
    struct sockaddr *address = mapped ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t length = mapped ? sizeof six : sizeof four;
    char text[] = "packet";
    struct iovec part = {.iov_base = text, .iov_len = 6};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}};
    for (int i = 0; i < 2; i++) messages[i].msg_hdr.msg_name = address, messages[i].msg_hdr.msg_namelen = length;
    if (strcmp(way, "sendmsg") == 0) return done((int)sendmsg(fd, &messages[0].msg_hdr, 0));
    if (strcmp(way, "sendmmsg") == 0) return done(sendmmsg(fd, messages, 2, 0));
    if (strcmp(way, "write") == 0) return done(connect(fd, address, length) < 0 ? -1 : (int)write(fd, text, 6));
    return done((int)sendto(fd, text, 6, 0, address, length));
}
