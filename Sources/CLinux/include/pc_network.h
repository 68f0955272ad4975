#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

/// A listening TCP socket (SOCK_CLOEXEC, SO_REUSEADDR) at a numeric IPv4 or IPv6 address; port 0 takes a free one, and `::` takes
/// IPv4, too. -EINVAL for an address that is none.
int pc_tcp_listen(const char *address, uint16_t port, int backlog);
/// The port a socket is bound to, or -errno.
int pc_bound_port(int socket);

#pragma clang assume_nonnull end
