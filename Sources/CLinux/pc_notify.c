#include "pc_notify.h"

#include <errno.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <unistd.h>

int pc_fanotify_init(uint32_t flags, uint32_t event_flags) {
    int fd = fanotify_init(flags, event_flags);
    return fd < 0 ? -errno : fd;
}

int pc_fanotify_mark(int group, uint32_t flags, uint64_t mask, int directory, const char *path) {
    return fanotify_mark(group, flags, mask, directory, path) < 0 ? -errno : 0;
}

int pc_fanotify_respond(int group, int32_t descriptor, uint32_t response) {
    struct fanotify_response answer = {.fd = descriptor, .response = response};
    ssize_t count;
    do
        count = write(group, &answer, sizeof answer);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : 0;
}

int pc_inotify_init(int nonblocking) {
    int fd = inotify_init1(IN_CLOEXEC | (nonblocking ? IN_NONBLOCK : 0));
    return fd < 0 ? -errno : fd;
}

int pc_inotify_add(int fd, const char *path, uint32_t mask) {
    int watch = inotify_add_watch(fd, path, mask);
    return watch < 0 ? -errno : watch;
}

int pc_inotify_remove(int fd, int watch) { return inotify_rm_watch(fd, watch) < 0 ? -errno : 0; }
