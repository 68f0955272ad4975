#include "pc_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int done(long result) { return result < 0 ? -errno : 0; }

int pc_socket_option(int socket, int level, int option, int *out) {
    socklen_t length = sizeof *out;
    return done(getsockopt(socket, level, option, out, &length));
}

int pc_socket_kind_of(int socket, struct pc_socket_kind *out) {
    int error = pc_socket_option(socket, SOL_SOCKET, SO_DOMAIN, &out->domain);
    if (error == 0)
        error = pc_socket_option(socket, SOL_SOCKET, SO_TYPE, &out->type);
    if (error == 0)
        error = pc_socket_option(socket, SOL_SOCKET, SO_PROTOCOL, &out->protocol);
    return error;
}

int pc_socket_cookie(int socket, uint64_t *out) {
    socklen_t length = sizeof *out;
    return done(getsockopt(socket, SOL_SOCKET, SO_COOKIE, out, &length));
}

int64_t pc_socket_timeout(int socket, int sends) {
    struct timeval time = {0};
    socklen_t length = sizeof time;
    if (getsockopt(socket, SOL_SOCKET, sends ? SO_SNDTIMEO : SO_RCVTIMEO, &time, &length) < 0)
        return -errno;
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

int pc_socket_peer_port(int socket) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getpeername(socket, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    switch (address.ss_family) {
    case AF_INET: return ntohs(((struct sockaddr_in *)&address)->sin_port);
    case AF_INET6: return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    default: return -EAFNOSUPPORT;
    }
}

int pc_socket_peer(int socket, void *address, uint32_t capacity) {
    socklen_t length = capacity;
    return getpeername(socket, address, &length) < 0 ? -errno : (int)(length < capacity ? length : capacity);
}

int pc_bind(int socket, const void *address, uint32_t length) { return done(bind(socket, address, length)); }

int pc_connect(int socket, const void *address, uint32_t length) { return done(connect(socket, address, length)); }

int pc_listen(int socket, int backlog) { return done(listen(socket, backlog)); }

int pc_socket_accept(int socket, void *address, uint32_t *length, int flags) {
    int fd = accept4(socket, address, length, flags | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int pc_is_readable(int socket) {
    struct pollfd entry = {.fd = socket, .events = POLLIN};
    int count = poll(&entry, 1, 0);
    return count < 0 ? -errno : count;
}

ssize_t pc_send(int socket, const struct pc_message *message, int flags) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)message->data, .iov_len = message->length};
    // The kernel only reads it.
    struct msghdr header = {
        .msg_name = (void *)(uintptr_t)message->name,
        .msg_namelen = message->name_length,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = (void *)(uintptr_t)message->control,
        .msg_controllen = message->control_length,
    };
    ssize_t count = sendmsg(socket, &header, flags);
    return count < 0 ? -errno : count;
}

// glibc keeps the first ones for itself.
#define PC_ALARM_SIGNAL (SIGRTMIN + 5)

static void interrupted(int signal) { (void)signal; }

int pc_alarm_make(int32_t *timer) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupted;
    // Without SA_RESTART: to end the wait is what it is for.
    if (sigaction(PC_ALARM_SIGNAL, &action, NULL) < 0)
        return -errno;
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, PC_ALARM_SIGNAL);
    int error = pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    if (error != 0)
        return -error;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = PC_ALARM_SIGNAL;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    // The system call: its timers are numbers, not pointers.
    return done(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, timer));
}

int pc_alarm_set(int32_t timer, uint32_t microseconds) {
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)microseconds * 1000};
    struct itimerspec spec = {.it_interval = time, .it_value = time};
    return done(syscall(SYS_timer_settime, timer, 0, &spec, NULL));
}
