#include "pc_nf_receive.h"

#include "pc_netfilter.h"

#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/// More than the kernel puts into one datagram (netlink(7): 32 KiB for lists).
#define PC_NF_DATAGRAM (128u << 10)

int pc_nf_open(void) {
    static const int yes = 1;
    // An answer that never comes must not hold a thread up.
    static const struct timeval patience = {.tv_sec = 10};
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (descriptor < 0)
        return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0
        || setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        int error = -errno;
        close(descriptor);
        return error;
    }
    // Errors without a copy of what they are about: a batch with thousands of them fits into the socket. Since 4.3.
    (void)setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
    return descriptor;
}

uint32_t pc_nf_port(int socket) {
    struct sockaddr_nl address = {0};
    socklen_t length = sizeof address;
    return getsockname(socket, (struct sockaddr *)&address, &length) == 0 ? address.nl_pid : 0;
}

int pc_nf_interface_name(int socket, uint32_t index, char *name) {
    struct ifreq request = {.ifr_ifindex = (int)index};
    if (ioctl(socket, SIOCGIFNAME, &request) < 0)
        return -errno;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    name[IFNAMSIZ - 1] = '\0';
    return 0;
}

/// A batch is one datagram: a socket takes no larger one than its buffer.
static void make_room(int socket, size_t length) {
    int have = 0;
    socklen_t size = sizeof have;
    int wanted = length > 1u << 30 ? 1 << 30 : (int)length + 4096;
    if (getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &have, &size) == 0 && have >= wanted)
        return;
    // Only with CAP_NET_ADMIN in the initial user namespace; otherwise as much as the system's limit lets.
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) < 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
}

int pc_nf_send(int socket, const void *bytes, size_t length) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    make_room(socket, length);
    while (sendto(socket, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/// A datagram of the kernel, or -errno; what others send is passed over.
static ssize_t receive(int socket, char *buffer, int flags) {
    for (;;) {
        struct sockaddr_nl sender = {0};
        socklen_t size = sizeof sender;
        ssize_t length =
            recvfrom(socket, buffer, PC_NF_DATAGRAM, flags | MSG_TRUNC, (struct sockaddr *)&sender, &size);
        if (length < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (sender.nl_pid != 0)
            continue;
        return length > (ssize_t)PC_NF_DATAGRAM ? -EMSGSIZE : length;
    }
}

/// A whole message. libmnl 1.0.4 compares the length as a signed number, of which one with the highest bit is less than any.
static int is_whole(const struct nlmsghdr *header, int rest) {
    return mnl_nlmsg_ok(header, rest) && header->nlmsg_len <= (uint32_t)rest;
}

static int run(const void *bytes, size_t length, mnl_cb_t each, void *context, int *is_over) {
    int rest = (int)length;
    // Of an interrupted list the end is looked for as well: it is marked like the rest, or in the same datagram.
    int interrupted = 0;
    for (const struct nlmsghdr *header = bytes; is_whole(header, rest); header = mnl_nlmsg_next(header, &rest)) {
        if (header->nlmsg_flags & NLM_F_DUMP_INTR)
            interrupted = -EINTR;
        if (header->nlmsg_type == NLMSG_DONE) {
            *is_over = 1;
            return interrupted;
        }
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);
            if (mnl_nlmsg_get_payload_len(header) < sizeof answer->error)
                return -EPROTO;
            *is_over = 1;
            return answer->error;
        }
        if (header->nlmsg_type == NLMSG_OVERRUN)
            return -ENOBUFS;
        if (interrupted == 0 && header->nlmsg_type >= NLMSG_MIN_TYPE && each(header, context) < 0)
            return -errno;
    }
    return interrupted;
}

int pc_nf_run(const void *bytes, size_t length, mnl_cb_t each, void *context) {
    int is_over = 0;
    return run(bytes, length, each, context, &is_over);
}

int pc_nf_receive(int socket, mnl_cb_t each, void *context) {
    _Alignas(8) static _Thread_local char buffer[PC_NF_DATAGRAM];
    int error = 0;
    for (int is_over = 0; !is_over;) {
        ssize_t length = receive(socket, buffer, 0);
        if (length < 0)
            return error != 0 ? error : (int)length;
        // A list that was interrupted is read to its end, or the rest would be taken for the next answer.
        int result = run(buffer, (size_t)length, each, context, &is_over);
        if (error == 0)
            error = result;
        if (result < 0 && result != -EINTR && !is_over)
            return error;
    }
    return error;
}

int pc_nf_read(int socket, mnl_cb_t each, void *context) {
    _Alignas(8) static _Thread_local char buffer[PC_NF_DATAGRAM];
    // Others get their turn after that many.
    int count = 0;
    for (; count < 256; count++) {
        ssize_t length = receive(socket, buffer, MSG_DONTWAIT);
        if (length == -EAGAIN)
            break;
        if (length < 0)
            return (int)length;
        int is_over = 0;
        int error = run(buffer, (size_t)length, each, context, &is_over);
        if (error < 0)
            return error;
    }
    return count;
}

int pc_nf_receive_acknowledgements(int socket, uint32_t last, uint32_t *failed) {
    _Alignas(8) static _Thread_local char buffer[PC_NF_DATAGRAM];
    // The kernel has worked on the batch when sendto returns: its answers are all there. Errors come in the order of the
    // messages, and that of the last one comes whether it failed or not.
    int error = 0;
    int is_acknowledged = 0;
    for (;;) {
        ssize_t length = receive(socket, buffer, MSG_DONTWAIT);
        if (length == -EAGAIN)
            break;
        if (length < 0)
            return (int)length;
        int rest = (int)length;
        for (const struct nlmsghdr *header = (void *)buffer; is_whole(header, rest);
             header = mnl_nlmsg_next(header, &rest)) {
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);
            if (header->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(header) < sizeof answer->error)
                continue;
            if (answer->error != 0 && error == 0) {
                error = answer->error;
                *failed = header->nlmsg_seq;
            }
            if (header->nlmsg_seq == last)
                is_acknowledged = 1;
        }
    }
    // Without any answer nobody knows what became of it.
    return error != 0 ? error : is_acknowledged ? 0 : -ENOBUFS;
}
