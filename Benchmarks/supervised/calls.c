// What calls cost their caller: nanoseconds a call, the best batch of many.
// usage: calls FILE PROGRAM   (prints a line of: name nanoseconds)
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *file, *program;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(int fd) {
    if (fd < 0) {
        perror("calls");
        exit(1);
    }
    close(fd);
}

static void ask_parent(void) { syscall(SYS_getppid); }
static void open_to_read(void) { check(open(file, O_RDONLY | O_CLOEXEC)); }
static void open_to_write(void) { check(open(file, O_WRONLY | O_CLOEXEC)); }
static void make_socket(void) { check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static void execute(void) {
    char *arguments[] = {(char *)program, NULL}, *environment[] = {NULL};
    pid_t child = vfork();
    if (child == 0) {
        execve(program, arguments, environment);
        _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    if (status != 0) exit(1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, void (*call)(void), int count) {
    double results[15];
    for (int batch = 0; batch < 15; batch++) {
        double start = now();
        for (int i = 0; i < count; i++) call();
        results[batch] = (now() - start) / count;
    }
    qsort(results, 15, sizeof *results, by_value);
    printf("%s %.0f\n", name, results[7]);
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    file = arguments[1], program = arguments[2];
    measure("getppid", ask_parent, 20000);
    measure("open-read", open_to_read, 1000);
    measure("open-write", open_to_write, 200);
    measure("socket", make_socket, 200);
    measure("exec", execute, 20);
}
