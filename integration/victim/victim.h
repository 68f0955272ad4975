#pragma once

/// Prints what errno says; the exit code of a refused operation.
int failed(void);
/// Prints "ok", or what errno says if `result` is negative.
int done(long result);

struct seccomp_notif;
/// Whether a call is one that is to be refused; `pidfd` is the caller's.
typedef int look_function(struct seccomp_notif *call, int pidfd, char **arguments);
/// Runs `run` in a child under a supervisor that looks at a call and then lets it go on: the control of a race.
int careless(char **arguments, int call, look_function *is_forbidden, int (*run)(char **));

int do_socket(char **arguments);
int do_socketpair(char **arguments);
int do_daemon_socket(char **arguments);
int do_unix_bind(char **arguments);
int do_other_binds(char **arguments);
int do_hammer_socket(char **arguments);
int do_send_udp(char **arguments);

int do_unix_serve(char **arguments);
int do_unix_connect(char **arguments);
int do_unix_full(char **arguments);

int do_query(char **arguments);
int do_with_socket(char **arguments);
int do_use_socket(char **arguments);
int do_datagrams(char **arguments);
int do_receive(char **arguments);
int do_connect(char **arguments);
int do_enter_cgroup(char **arguments);
int do_like_kernel(char **arguments);

int do_flood(char **arguments);
int do_map(char **arguments);
int do_random_calls(char **arguments);
int do_race(char **arguments);
int do_race_control(char **arguments);
int do_race_exec(char **arguments);
int do_race_exec_control(char **arguments);
int do_race_socket(char **arguments);
int do_race_socket_control(char **arguments);
int do_race_query(char **arguments);
int do_race_query_control(char **arguments);
int do_race_connect(char **arguments);
int do_race_connect_control(char **arguments);

int do_syscall(char **arguments);
int do_int80(char **arguments);

int do_unlink(char **arguments);
int do_unlinkat(char **arguments);
int do_rmdir(char **arguments);
int do_mkdir(char **arguments);
int do_mkfifo(char **arguments);
int do_mknod(char **arguments);
int do_exchange(char **arguments);
int do_truncate(char **arguments);
int do_chmod(char **arguments);
int do_fchmodat(char **arguments);
int do_chown(char **arguments);
int do_lchown(char **arguments);
int do_setxattr(char **arguments);
int do_removexattr(char **arguments);
int do_set_times(char **arguments);
int do_utime(char **arguments);
int do_link_pinned(char **arguments);
int do_link_empty(char **arguments);
int do_fchmod(char **arguments);
int do_fchown(char **arguments);
int do_fsetxattr(char **arguments);
int do_futimens(char **arguments);
int do_reopen_write(char **arguments);
int do_write_at(char **arguments);
int do_interrupted(char **arguments);
int do_interrupted_left(char **arguments);
