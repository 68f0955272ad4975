#pragma once

/// Prints what errno says; the exit code of a refused operation.
int failed(void);
/// Prints "ok", or what errno says if `result` is negative.
int done(long result);

int do_socket(char **arguments);
int do_socketpair(char **arguments);
int do_daemon_socket(char **arguments);
int do_hammer_socket(char **arguments);

int do_flood(char **arguments);
int do_map(char **arguments);

int do_syscall(char **arguments);
int do_int80(char **arguments);
