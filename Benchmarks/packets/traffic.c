// Traffic between two network namespaces, both ends in one process, for a number of milliseconds.
//   traffic HERE THERE ADDRESS MILLISECONDS
// HERE and THERE are files of network namespaces, ADDRESS is THERE's. Prints, on one line: Gbit/s of one TCP connection, packets a second of
// one UDP socket, and new TCP connections a second.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5201 };
static atomic_int is_over;

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/// A socket of a namespace: it stays there when the thread goes on to another one.
static int socket_in(const char *namespace, int type) {
    int file = open(namespace, O_RDONLY | O_CLOEXEC);
    check(file, namespace);
    check(setns(file, CLONE_NEWNET), "setns");
    close(file);
    int result = socket(AF_INET, type, 0);
    check(result, "socket");
    return result;
}

static struct sockaddr_in address_of(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

static int server(const char *namespace, int type) {
    int one = 1;
    int result = socket_in(namespace, type);
    struct sockaddr_in any = address_of("0.0.0.0");
    setsockopt(result, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(result, (struct sockaddr *)&any, sizeof any), "bind");
    if (type == SOCK_STREAM) check(listen(result, 4096), "listen");
    return result;
}

static void *drain(void *descriptor) {
    static char buffer[1 << 20];
    while (!atomic_load(&is_over) && recv((int)(long)descriptor, buffer, sizeof buffer, 0) > 0) {}
    return NULL;
}

static void *accept_all(void *descriptor) {
    while (!atomic_load(&is_over)) {
        int client = accept((int)(long)descriptor, NULL, NULL);
        if (client >= 0) close(client);
    }
    return NULL;
}

static double stream(const char *here, const char *there, struct sockaddr_in to, double seconds) {
    static char buffer[256 << 10];
    int listener = server(there, SOCK_STREAM);
    int sender = socket_in(here, SOCK_STREAM);
    check(connect(sender, (struct sockaddr *)&to, sizeof to), "connect");
    int receiver = accept(listener, NULL, NULL);
    pthread_t thread;
    atomic_store(&is_over, 0);
    pthread_create(&thread, NULL, drain, (void *)(long)receiver);
    double start = now(), bytes = 0;
    while (now() - start < seconds) bytes += (double)send(sender, buffer, sizeof buffer, 0);
    double rate = 8e-9 * bytes / (now() - start);
    atomic_store(&is_over, 1);
    shutdown(sender, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(sender), close(receiver), close(listener);
    return rate;
}

static double datagrams(const char *here, const char *there, struct sockaddr_in to, double seconds) {
    char buffer[64] = {0};
    int receiver = server(there, SOCK_DGRAM);
    int sender = socket_in(here, SOCK_DGRAM);
    check(connect(sender, (struct sockaddr *)&to, sizeof to), "connect");
    double start = now(), count = 0;
    // Nobody reads: what is beyond the socket's buffer is dropped there, behind all rules.
    while (now() - start < seconds)
        for (int i = 0; i < 64; i++) count += send(sender, buffer, sizeof buffer, 0) > 0;
    double rate = count / (now() - start);
    close(sender), close(receiver);
    return rate;
}

static double connections(const char *here, const char *there, struct sockaddr_in to, double seconds) {
    int listener = server(there, SOCK_STREAM);
    pthread_t thread;
    atomic_store(&is_over, 0);
    pthread_create(&thread, NULL, accept_all, (void *)(long)listener);
    double start = now(), count = 0;
    struct linger at_once = {.l_onoff = 1};
    while (now() - start < seconds) {
        int client = socket_in(here, SOCK_STREAM);
        // No port waits for late packets.
        setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        check(connect(client, (struct sockaddr *)&to, sizeof to), "connect");
        count++;
        close(client);
    }
    double rate = count / (now() - start);
    atomic_store(&is_over, 1);
    int last = socket_in(here, SOCK_STREAM);
    connect(last, (struct sockaddr *)&to, sizeof to);
    pthread_join(thread, NULL);
    close(last), close(listener);
    return rate;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: traffic HERE THERE ADDRESS MILLISECONDS\n");
        return 2;
    }
    struct sockaddr_in to = address_of(words[3]);
    double seconds = atof(words[4]) / 1000;
    double gigabits = stream(words[1], words[2], to, seconds);
    double packets = datagrams(words[1], words[2], to, seconds);
    double flows = connections(words[1], words[2], to, seconds);
    printf("%.3f %.0f %.0f\n", gigabits, packets, flows);
    return 0;
}
