// Sockets of nfnetlink: transactions, what is in force, who changed it, and logged packets.
#pragma once
#include "pc_nft_batch.h"

#include <stdint.h>

#pragma clang assume_nonnull begin

/// A socket in the calling thread's network namespace, for good: a descriptor, or -errno.
int pc_nf_open(void);
/// The socket's port id (netlink(7)), or 0.
uint32_t pc_nf_port(int socket);

/// The number of the ruleset in force; every transaction of anybody makes it another one. 0 or -errno.
int pc_nf_generation(int socket, uint32_t *generation);

/// Sends the batch. With `only_checks` it is checked and then given up. `failed` becomes the number of the message that was
/// refused, if it is known which. 0 or -errno: ERESTART when `generation` is not in force any more, ENOBUFS when the answer was
/// lost, so that nobody knows.
int pc_nft_commit(
    int socket, struct pc_nft_batch *batch, uint32_t generation, int only_checks, uint32_t *failed);

enum pc_nft_kind {
    PC_NFT_CHAINS = 0,
    PC_NFT_SETS = 1,
    PC_NFT_QUOTAS = 2,
    PC_NFT_RULES = 3,
};

/// Something in a table.
struct pc_nft_item {
    char name[PC_NFT_NAME]; ///< of rules, their chain's
    uint64_t handle;
    uint64_t limit; ///< of quotas: bytes
    uint64_t used;  ///< of quotas: bytes
};

typedef void (*pc_nft_item_function)(void *_Nullable context, const struct pc_nft_item *item);

/// What there is of one kind in a table of the family inet. 0 or -errno: ENOENT without the table, EINTR when it changed
/// meanwhile.
int pc_nft_list(
    int socket, const char *table, enum pc_nft_kind kind, pc_nft_item_function each, void *_Nullable context);

/// Sets what a quota counted to 0 and says what it was. 0 or -errno.
int pc_nft_reset_quota(int socket, const char *table, const char *quota, uint64_t *used);

/// Tells the socket of every transaction from now on but those of one port, or (`wanted` 0) not any more. 0 or -errno.
int pc_nf_watch(int socket, int wanted, uint32_t but_port);

/// Somebody's transaction.
struct pc_nft_change {
    uint32_t port;       ///< who: its netlink port id
    uint32_t process;    ///< pid, or 0
    uint32_t generation; ///< the number it left; 0 while it is not over
    uint8_t in_table;    ///< it is about the table that was asked for
    char name[16];       ///< the process' name
};

typedef void (*pc_nft_change_function)(void *_Nullable context, const struct pc_nft_change *change);

/// Reads what `pc_nf_watch` tells, without waiting. 0 or -errno (ENOBUFS: something was lost).
int pc_nf_read_changes(int socket, const char *table, pc_nft_change_function each, void *_Nullable context);

/// Makes the socket the reader of a group of nfnetlink_log: that many bytes of each packet. 0 or -errno (EBUSY: another socket reads
/// the group).
int pc_nf_log_bind(int socket, uint16_t group, uint32_t bytes);

/// A logged packet; everything is valid only while the function runs.
struct pc_nf_packet {
    const char *prefix;
    const uint8_t *_Nullable payload; ///< from the network header on
    uint32_t length;
    uint32_t input;  ///< interface index, or 0
    uint32_t output; ///< interface index, or 0
    uint32_t sequence;
    uint32_t uid; ///< of the socket; -1 when it is not known
    uint8_t hook; ///< NF_INET_*
    uint8_t has_sequence;
};

typedef void (*pc_nf_packet_function)(void *_Nullable context, const struct pc_nf_packet *packet);

/// Reads packets, without waiting. How many datagrams were read, or -errno (ENOBUFS: some were lost).
int pc_nf_log_read(int socket, pc_nf_packet_function each, void *_Nullable context);

/// What `pc_nf_log_read` does with one datagram; for tests. 0 or -errno.
int pc_nf_log_parse(const void *bytes, uint32_t length, pc_nf_packet_function each, void *_Nullable context);
/// What `pc_nf_read_changes` does with one datagram; for tests. 0 or -errno.
int pc_nf_change_parse(
    const void *bytes, uint32_t length, const char *table, pc_nft_change_function each, void *_Nullable context);
/// What `pc_nft_list` does with one datagram; for tests. 0 or -errno.
int pc_nft_list_parse(
    const void *bytes, uint32_t length, const char *table, enum pc_nft_kind kind, pc_nft_item_function each,
    void *_Nullable context);

/// The name of an interface in the socket's network namespace. 0 or -errno.
int pc_nf_interface_name(int socket, uint32_t index, char *name);

#pragma clang assume_nonnull end
