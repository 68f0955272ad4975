#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// fanotify_init(2).
int pc_fanotify_init(uint32_t flags, uint32_t event_flags);
/// fanotify_mark(2). `path` may be null: the mark is then on `directory` itself.
int pc_fanotify_mark(int group, uint32_t flags, uint64_t mask, int directory, const char *_Nullable path);
/// Answers one permission event; `response` is FAN_ALLOW or FAN_DENY, with FAN_AUDIT or an errno in it where the group
/// allows that. 0 or -errno (-ENOENT: nobody waits any more).
int pc_fanotify_respond(int group, int32_t descriptor, uint32_t response);

/// inotify_init1(2) with IN_CLOEXEC and, if asked for, IN_NONBLOCK.
int pc_inotify_init(int nonblocking);
/// inotify_add_watch(2): the watch number or -errno.
int pc_inotify_add(int fd, const char *path, uint32_t mask);
int pc_inotify_remove(int fd, int watch);

#pragma clang assume_nonnull end
