#pragma once
#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

/// Sends it all, with room for it in the socket. 0 or -errno.
int pc_nf_send(int socket, const void *bytes, size_t length);
/// Reads answers until the one that ends them. 0 or -errno; EINTR when what was listed changed meanwhile.
int pc_nf_receive(int socket, mnl_cb_t each, void *context);
/// Reads what there is, without waiting: datagrams, or -errno.
int pc_nf_read(int socket, mnl_cb_t each, void *context);
/// Calls the function for each whole message of a datagram that is not netlink's own. 0 or -errno.
int pc_nf_run(const void *bytes, size_t length, mnl_cb_t each, void *context);
/// Reads the answers to a batch whose last message has this number. 0 or -errno, and the message that was refused.
int pc_nf_receive_acknowledgements(int socket, uint32_t last, uint32_t *failed);
