// What a program pays: nanoseconds for open+close of each FILE, microseconds for vfork+exec+wait of PROGRAM.
// usage: client PROGRAM FILE...   prints one line: exec_us file1_ns file2_ns ...
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 9, OPENS = 500, EXECS = 24 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double opens(const char *path) {
    double start = now();
    for (int i = 0; i < OPENS; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            perror(path);
            exit(1);
        }
        close(fd);
    }
    return (now() - start) / OPENS;
}
static double execs(const char *program) {
    char *arguments[] = {(char *)program, NULL}, *environment[] = {NULL};
    double start = now();
    for (volatile int i = 0; i < EXECS; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execve(program, arguments, environment);
            _exit(127);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) {
            fprintf(stderr, "%s: status %d\n", program, status);
            exit(1);
        }
    }
    return (now() - start) / EXECS / 1e3;
}
int main(int count, char **arguments) {
    if (count < 3) return 2;
    double results[32][BATCHES];
    for (int batch = 0; batch < BATCHES; batch++) {
        results[0][batch] = execs(arguments[1]);
        for (int file = 2; file < count && file < 33; file++) results[file - 1][batch] = opens(arguments[file]);
    }
    for (int row = 0; row < count - 1; row++) {
        qsort(results[row], BATCHES, sizeof(double), by_value);
        printf("%.1f ", results[row][BATCHES / 2]);
    }
    printf("\n");
    return 0;
}
