// Verbs about sockets.

#include "victim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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
