#include "pc_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t parse(const char *text, uint16_t port, union address *out) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->four.sin_addr) == 1) {
        out->four.sin_family = AF_INET;
        out->four.sin_port = htons(port);
        return sizeof out->four;
    }
    if (inet_pton(AF_INET6, text, &out->six.sin6_addr) == 1) {
        out->six.sin6_family = AF_INET6;
        out->six.sin6_port = htons(port);
        return sizeof out->six;
    }
    return 0;
}

int pc_tcp_listen(const char *address, uint16_t port, int backlog) {
    union address bound;
    socklen_t length = parse(address, port, &bound);
    if (length == 0)
        return -EINVAL;
    int result = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (result < 0)
        return -errno;
    int on = 1, off = 0;
    if (setsockopt(result, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (bound.any.sa_family == AF_INET6 &&
         setsockopt(result, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(result, &bound.any, length) != 0 || listen(result, backlog) != 0) {
        int code = errno;
        close(result);
        return -code;
    }
    return result;
}

int pc_bound_port(int socket) {
    union address bound;
    socklen_t length = sizeof bound;
    if (getsockname(socket, &bound.any, &length) != 0)
        return -errno;
    return bound.any.sa_family == AF_INET6 ? ntohs(bound.six.sin6_port) : ntohs(bound.four.sin_port);
}
