// The least a fanotify responder can do that knows what it answers: reads an event, resolves the path, allows.
// usage: responder DIRECTORY   marks its children for opens and its filesystem for executions; prints "ready".
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 2) return 2;
    int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
    if (group < 0 ||
        fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD, AT_FDCWD, arguments[1]) != 0 ||
        fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC_PERM, AT_FDCWD, arguments[1]) != 0) {
        perror("fanotify");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    char buffer[4096] __attribute__((aligned(8)));
    for (;;) {
        ssize_t length = read(group, buffer, sizeof buffer);
        if (length < 0) return 1;
        for (struct fanotify_event_metadata *event = (void *)buffer; FAN_EVENT_OK(event, length);
             event = FAN_EVENT_NEXT(event, length)) {
            char link[64], path[4096];
            snprintf(link, sizeof link, "/proc/self/fd/%d", event->fd);
            if (readlink(link, path, sizeof path) < 0) path[0] = 0;
            struct fanotify_response answer = {event->fd, FAN_ALLOW};
            if (write(group, &answer, sizeof answer) < 0) return 1;
            close(event->fd);
        }
    }
}
