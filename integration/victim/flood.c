// Verbs that open very many files.

#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct totals {
    _Atomic long succeeded, refused, forbidden_succeeded;
};

static void one(const char *path, int forbidden, struct totals *totals) {
    int fd = open(path, O_RDONLY);
    if (fd >= 0) {
        totals->succeeded++;
        totals->forbidden_succeeded += forbidden;
        close(fd);
    } else if (errno == EPERM || errno == EACCES) {
        totals->refused += forbidden;
    }
}

// PROCESSES children open ROUNDS files each: FILES names DIRECTORY/fN in turn, and every tenth time FORBIDDEN.
int do_flood(char **a) {
    long processes = atol(a[0]), rounds = atol(a[1]), files = atol(a[2]);
    struct totals *totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED) return failed();
    for (long process = 0; process < processes; process++) {
        if (fork() != 0) continue;
        for (long i = 0; i < rounds; i++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/f%ld", a[3], (process * 131 + i) % files);
            one(i % 10 == 9 ? a[4] : path, i % 10 == 9, totals);
        }
        _exit(0);
    }
    while (wait(NULL) > 0) {
    }
    printf("succeeded %ld refused %ld forbidden %ld\n", totals->succeeded, totals->refused, totals->forbidden_succeeded);
    return 0;
}

// Maps a file, closes its descriptor, prints "holding", waits for a line on standard input.
int do_map(char **a) {
    int fd = open(a[0], O_RDONLY);
    if (fd < 0) return failed();
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) return failed();
    close(fd);
    printf("holding\n");
    fflush(stdout);
    char line[16];
    return fgets(line, sizeof line, stdin) ? 0 : 3;
}
