// One nf_tables transaction, built message by message through libnftnl.
#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Names of tables, chains, sets and objects, NUL included (NFT_NAME_MAXLEN).
#define PC_NFT_NAME 256
/// Bytes of an interface's name as the kernel compares it.
#define PC_NFT_INTERFACE 16
/// Bytes of the transport header and what follows it that every kernel reads.
#define PC_NFT_PAYLOAD 316

/// The transaction. Whatever goes wrong while it is built is kept, and returned by `pc_nft_batch_error`.
struct pc_nft_batch;
/// A rule that is being built.
struct pc_nft_rule;

enum pc_nft_verdict {
    PC_NFT_DROP = 0,
    PC_NFT_ACCEPT = 1,
    PC_NFT_GOTO = 2,
    PC_NFT_RETURN = 3,
    PC_NFT_JUMP = 4,
};

enum pc_nft_hook {
    PC_NFT_INPUT = 0,
    PC_NFT_FORWARD = 1,
    PC_NFT_OUTPUT = 2,
};

enum pc_nft_key {
    PC_NFT_IPV4 = 0,
    PC_NFT_IPV6 = 1,
    PC_NFT_PORT = 2,
    PC_NFT_NAME_OF_INTERFACE = 3,
};

/// A key of a set, or the first or the one after the last of an interval; in network byte order.
struct pc_nft_element {
    uint8_t key[16];
    /// Ends an interval and does not belong to it.
    uint8_t ends;
    /// For maps, what its value is; for sets nothing.
    uint8_t verdict;
    /// For PC_NFT_GOTO and PC_NFT_JUMP.
    char chain[PC_NFT_NAME];
};

/// NULL without memory. `table` is of the family inet, and all that the batch is about.
struct pc_nft_batch *_Nullable pc_nft_batch_new(const char *table);
void pc_nft_batch_free(struct pc_nft_batch *_Nullable batch);
/// 0, or -errno of what went wrong while the batch was built.
int pc_nft_batch_error(const struct pc_nft_batch *batch);
/// How many messages the batch has: the number that the next one gets.
uint32_t pc_nft_batch_count(const struct pc_nft_batch *batch);
/// Bytes of the batch as it would be sent.
uint64_t pc_nft_batch_size(const struct pc_nft_batch *batch);

/// Makes the table unless it is there.
void pc_nft_add_table(struct pc_nft_batch *batch);
void pc_nft_delete_table(struct pc_nft_batch *batch);

/// A chain that rules jump to.
void pc_nft_add_chain(struct pc_nft_batch *batch, const char *name);
/// A chain of a hook, of the type filter and with the policy accept.
void pc_nft_add_base_chain(struct pc_nft_batch *batch, const char *name, enum pc_nft_hook hook, int32_t priority);
void pc_nft_delete_chain(struct pc_nft_batch *batch, const char *name);
/// Deletes the rules of every chain.
void pc_nft_flush_rules(struct pc_nft_batch *batch);

/// A set, or with `is_map` a map to verdicts; with `is_interval` of intervals.
void pc_nft_add_set(struct pc_nft_batch *batch, const char *name, enum pc_nft_key key, int is_interval, int is_map);
/// Elements for a set of the batch; all with a value when it is a map, none otherwise.
void pc_nft_add_elements(
    struct pc_nft_batch *batch, const char *name, enum pc_nft_key key, int is_map, const struct pc_nft_element *elements,
    uint32_t count);
void pc_nft_delete_set(struct pc_nft_batch *batch, const char *name);

/// A quota that matches once more than `bytes` went through it.
void pc_nft_add_quota(struct pc_nft_batch *batch, const char *name, uint64_t bytes);
void pc_nft_delete_quota(struct pc_nft_batch *batch, const char *name);

/// A rule at the end of a chain; NULL without memory, which the batch then remembers. Given up by `pc_nft_add_rule`.
struct pc_nft_rule *_Nullable pc_nft_rule_new(struct pc_nft_batch *batch, const char *chain);
void pc_nft_add_rule(struct pc_nft_batch *batch, struct pc_nft_rule *rule);

/// The packet's address family: 2 is IPv4, 10 IPv6 (NFPROTO_*).
void pc_nft_match_family(struct pc_nft_rule *rule, uint8_t family);
/// The transport (IPPROTO_*).
void pc_nft_match_transport(struct pc_nft_rule *rule, uint8_t transport);
/// The name of the interface that the packet came by (`is_output` 0) or leaves by.
void pc_nft_match_interface(struct pc_nft_rule *rule, int is_output, const char *name);
void pc_nft_match_interfaces(struct pc_nft_rule *rule, int is_output, const char *set);
/// The first `bits` of the source address or (`is_destination`) the destination address, which is 4 or 16 bytes.
void pc_nft_match_prefix(struct pc_nft_rule *rule, int is_destination, const uint8_t *address, uint32_t length, uint32_t bits);
/// Addresses of 4 or 16 bytes.
void pc_nft_match_addresses(struct pc_nft_rule *rule, int is_destination, uint32_t length, const char *set);
/// The value of a map by the address is the rule's verdict, if there is one.
void pc_nft_map_address(struct pc_nft_rule *rule, int is_destination, uint32_t length, const char *map);
/// A destination port in network byte order, or the range from `first` to `last`.
void pc_nft_match_port(struct pc_nft_rule *rule, uint16_t first, uint16_t last);
void pc_nft_match_ports(struct pc_nft_rule *rule, const char *set);
void pc_nft_map_port(struct pc_nft_rule *rule, const char *map);
/// The packet's flow has one of the states of the mask (NF_CT_STATE_BIT).
void pc_nft_match_flow_state(struct pc_nft_rule *rule, uint32_t mask);
/// The type of an ICMPv6 packet is between `first` and `last`.
void pc_nft_match_icmpv6_type(struct pc_nft_rule *rule, uint8_t first, uint8_t last);
/// The id of the cgroup v2 directory at `level` below the root, of the socket's cgroup.
void pc_nft_match_cgroup(struct pc_nft_rule *rule, uint32_t level, uint64_t cgroup);
/// The net_cls class of the socket.
void pc_nft_match_class(struct pc_nft_rule *rule, uint32_t classid);
/// The user id of the socket is between `first` and `last`.
void pc_nft_match_users(struct pc_nft_rule *rule, uint32_t first, uint32_t last);
/// More than its quota's bytes went through the rule.
void pc_nft_match_quota(struct pc_nft_rule *rule, const char *quota);
/// At most `rate` packets a second, after a burst.
void pc_nft_match_rate(struct pc_nft_rule *rule, uint64_t rate, uint32_t burst);
/// Bytes from `offset` of the transport header and what follows it; only the bits of `mask` count. At most 16 bytes. Every kernel reads the
/// first PC_NFT_PAYLOAD bytes, and those that take an offset of more than 255 further ones (`reads_far`).
void pc_nft_match_payload(
    struct pc_nft_rule *rule, uint32_t offset, const uint8_t *_Nullable mask, const uint8_t *bytes, uint32_t length,
    int reads_far);
/// The byte at `offset` of the transport header and what follows it is between `first` and `last`.
void pc_nft_match_payload_byte(
    struct pc_nft_rule *rule, uint32_t offset, uint8_t first, uint8_t last, int reads_far);
/// The packet has less than that many bytes, network header included.
void pc_nft_match_shorter(struct pc_nft_rule *rule, uint32_t length);

void pc_nft_count(struct pc_nft_rule *rule);
/// Sends the packet's first bytes to the readers of a group of nfnetlink_log.
void pc_nft_log(struct pc_nft_rule *rule, uint16_t group, const char *prefix, uint32_t bytes);
/// The verdict; `chain` for PC_NFT_GOTO and PC_NFT_JUMP.
void pc_nft_decide(struct pc_nft_rule *rule, enum pc_nft_verdict verdict, const char *_Nullable chain);

#pragma clang assume_nonnull end
