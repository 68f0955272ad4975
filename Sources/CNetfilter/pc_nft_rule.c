#include "pc_nft_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

// Offsets in the headers, see ip(7) and RFC 8200.
enum {
    IPV4_SOURCE = 12,
    IPV4_DESTINATION = 16,
    IPV6_SOURCE = 8,
    IPV6_DESTINATION = 24,
    DESTINATION_PORT = 2,
    ICMPV6_TYPE = 0,
};

static struct nftnl_expr *add(struct pc_nft_rule *rule, const char *name) {
    struct nftnl_expr *expression = nftnl_expr_alloc(name);
    if (expression == NULL)
        pc_nft_fail(rule->batch, -ENOMEM);
    else
        nftnl_rule_add_expr(rule->rule, expression);
    return expression;
}

static void meta(struct pc_nft_rule *rule, uint32_t key) {
    struct nftnl_expr *expression = add(rule, "meta");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void compare_in(
    struct pc_nft_rule *rule, uint32_t source, uint32_t operator, const void *bytes, uint32_t length) {
    struct nftnl_expr *expression = add(rule, "cmp");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, source);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, operator);
    nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, bytes, length);
}

static void compare(struct pc_nft_rule *rule, uint32_t operator, const void *bytes, uint32_t length) {
    compare_in(rule, NFT_REG_1, operator, bytes, length);
}

static void range_in(
    struct pc_nft_rule *rule, uint32_t source, const void *first, const void *last, uint32_t length) {
    struct nftnl_expr *expression = add(rule, "range");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_RANGE_SREG, source);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
    nftnl_expr_set(expression, NFTNL_EXPR_RANGE_FROM_DATA, first, length);
    nftnl_expr_set(expression, NFTNL_EXPR_RANGE_TO_DATA, last, length);
}

static void range(struct pc_nft_rule *rule, const void *first, const void *last, uint32_t length) {
    range_in(rule, NFT_REG_1, first, last, length);
}

static void payload(struct pc_nft_rule *rule, uint32_t base, uint32_t offset, uint32_t length) {
    struct nftnl_expr *expression = add(rule, "payload");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, length);
}

// Reads from the transport header on, and returns the register that the bytes are in. Before Linux 6.18 no offset is above 255, but all
// registers can be filled at once: what lies behind is read from there on, to where the bytes begin a register of their own.
static uint32_t transport(struct pc_nft_rule *rule, uint32_t offset, uint32_t length, int reads_far) {
    enum { LAST_OFFSET = 255, REGISTERS = NFT_REG32_15 - NFT_REG32_00 + 1 };
    uint32_t before =
        reads_far || offset <= LAST_OFFSET ? 0 : (offset - LAST_OFFSET + NFT_REG32_SIZE - 1) / NFT_REG32_SIZE;
    if (before * NFT_REG32_SIZE + length > REGISTERS * NFT_REG32_SIZE)
        pc_nft_fail(rule->batch, -ERANGE);
    else
        payload(
            rule, NFT_PAYLOAD_TRANSPORT_HEADER, offset - before * NFT_REG32_SIZE, length + before * NFT_REG32_SIZE);
    return before == 0 ? NFT_REG_1 : NFT_REG32_00 + before;
}

static void mask_in(struct pc_nft_rule *rule, uint32_t place, const void *bits, uint32_t length) {
    static const uint8_t zeros[16];
    struct nftnl_expr *expression = add(rule, "bitwise");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, place);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, place);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, length);
    nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, bits, length);
    nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, zeros, length);
}

static void mask(struct pc_nft_rule *rule, const void *bits, uint32_t length) { mask_in(rule, NFT_REG_1, bits, length); }

static void lookup(struct pc_nft_rule *rule, const char *set, int decides) {
    struct nftnl_expr *expression = add(rule, "lookup");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set);
    if (decides)
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void pc_nft_match_family(struct pc_nft_rule *rule, uint8_t family) {
    meta(rule, NFT_META_NFPROTO);
    compare(rule, NFT_CMP_EQ, &family, sizeof family);
}

void pc_nft_match_transport(struct pc_nft_rule *rule, uint8_t transport) {
    meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, &transport, sizeof transport);
}

void pc_nft_match_interface(struct pc_nft_rule *rule, int is_output, const char *name) {
    char padded[PC_NFT_INTERFACE] = {0};
    strncpy(padded, name, sizeof padded - 1);
    meta(rule, is_output ? NFT_META_OIFNAME : NFT_META_IIFNAME);
    compare(rule, NFT_CMP_EQ, padded, sizeof padded);
}

void pc_nft_match_interfaces(struct pc_nft_rule *rule, int is_output, const char *set) {
    meta(rule, is_output ? NFT_META_OIFNAME : NFT_META_IIFNAME);
    lookup(rule, set, 0);
}

static void address(struct pc_nft_rule *rule, int is_destination, uint32_t length) {
    uint32_t offset = length == 4 ? (is_destination ? IPV4_DESTINATION : IPV4_SOURCE)
                                  : (is_destination ? IPV6_DESTINATION : IPV6_SOURCE);
    pc_nft_match_family(rule, length == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offset, length);
}

void pc_nft_match_prefix(
    struct pc_nft_rule *rule, int is_destination, const uint8_t *bytes, uint32_t length, uint32_t bits) {
    uint8_t ones[16] = {0};
    for (uint32_t i = 0; i < bits && i < 8 * length; i++)
        ones[i / 8] |= (uint8_t)(0x80 >> (i % 8));
    address(rule, is_destination, length);
    if (bits < 8 * length)
        mask(rule, ones, length);
    compare(rule, NFT_CMP_EQ, bytes, length);
}

void pc_nft_match_addresses(struct pc_nft_rule *rule, int is_destination, uint32_t length, const char *set) {
    address(rule, is_destination, length);
    lookup(rule, set, 0);
}

void pc_nft_map_address(struct pc_nft_rule *rule, int is_destination, uint32_t length, const char *map) {
    address(rule, is_destination, length);
    lookup(rule, map, 1);
}

static void port(struct pc_nft_rule *rule) { payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT, 2); }

void pc_nft_match_port(struct pc_nft_rule *rule, uint16_t first, uint16_t last) {
    port(rule);
    if (first == last)
        compare(rule, NFT_CMP_EQ, &first, sizeof first);
    else
        range(rule, &first, &last, sizeof first);
}

void pc_nft_match_ports(struct pc_nft_rule *rule, const char *set) {
    port(rule);
    lookup(rule, set, 0);
}

void pc_nft_map_port(struct pc_nft_rule *rule, const char *map) {
    port(rule);
    lookup(rule, map, 1);
}

void pc_nft_match_flow_state(struct pc_nft_rule *rule, uint32_t states) {
    static const uint32_t none = 0;
    struct nftnl_expr *expression = add(rule, "ct");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    mask(rule, &states, sizeof states);
    compare(rule, NFT_CMP_NEQ, &none, sizeof none);
}

void pc_nft_match_icmpv6_type(struct pc_nft_rule *rule, uint8_t first, uint8_t last) {
    pc_nft_match_family(rule, NFPROTO_IPV6);
    pc_nft_match_transport(rule, IPPROTO_ICMPV6);
    payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, ICMPV6_TYPE, 1);
    if (first == last)
        compare(rule, NFT_CMP_EQ, &first, sizeof first);
    else
        range(rule, &first, &last, sizeof first);
}

void pc_nft_match_cgroup(struct pc_nft_rule *rule, uint32_t level, uint64_t cgroup) {
    struct nftnl_expr *expression = add(rule, "socket");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_LEVEL, level);
    compare(rule, NFT_CMP_EQ, &cgroup, sizeof cgroup);
}

void pc_nft_match_class(struct pc_nft_rule *rule, uint32_t classid) {
    meta(rule, NFT_META_CGROUP);
    compare(rule, NFT_CMP_EQ, &classid, sizeof classid);
}

/// The number in the register, with its most significant byte first: in that order numbers are compared.
static void swap(struct pc_nft_rule *rule) {
    struct nftnl_expr *expression = add(rule, "byteorder");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BYTEORDER_LEN, sizeof(uint32_t));
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BYTEORDER_SIZE, sizeof(uint32_t));
}

void pc_nft_match_users(struct pc_nft_rule *rule, uint32_t first, uint32_t last) {
    meta(rule, NFT_META_SKUID);
    if (first == last)
        return compare(rule, NFT_CMP_EQ, &first, sizeof first);
    uint32_t from = htonl(first);
    uint32_t to = htonl(last);
    swap(rule);
    range(rule, &from, &to, sizeof from);
}

void pc_nft_match_quota(struct pc_nft_rule *rule, const char *quota) {
    struct nftnl_expr *expression = add(rule, "objref");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_QUOTA);
    nftnl_expr_set_str(expression, NFTNL_EXPR_OBJREF_IMM_NAME, quota);
}

void pc_nft_match_rate(struct pc_nft_rule *rule, uint64_t rate, uint32_t burst) {
    struct nftnl_expr *expression = add(rule, "limit");
    if (expression == NULL)
        return;
    nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_RATE, rate);
    nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_UNIT, 1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_BURST, burst);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

void pc_nft_match_payload(
    struct pc_nft_rule *rule, uint32_t offset, const uint8_t *bits, const uint8_t *bytes, uint32_t length,
    int reads_far) {
    uint32_t place = transport(rule, offset, length, reads_far);
    if (bits != NULL)
        mask_in(rule, place, bits, length);
    compare_in(rule, place, NFT_CMP_EQ, bytes, length);
}

void pc_nft_match_payload_byte(
    struct pc_nft_rule *rule, uint32_t offset, uint8_t first, uint8_t last, int reads_far) {
    uint32_t place = transport(rule, offset, 1, reads_far);
    if (first == last)
        compare_in(rule, place, NFT_CMP_EQ, &first, sizeof first);
    else
        range_in(rule, place, &first, &last, sizeof first);
}

void pc_nft_match_shorter(struct pc_nft_rule *rule, uint32_t length) {
    uint32_t number = htonl(length);
    meta(rule, NFT_META_LEN);
    swap(rule);
    compare(rule, NFT_CMP_LT, &number, sizeof number);
}

void pc_nft_count(struct pc_nft_rule *rule) {
    struct nftnl_expr *expression = add(rule, "counter");
    if (expression == NULL)
        return;
    nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_PACKETS, 0);
    nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_BYTES, 0);
}

void pc_nft_log(struct pc_nft_rule *rule, uint16_t group, const char *prefix, uint32_t bytes) {
    struct nftnl_expr *expression = add(rule, "log");
    if (expression == NULL)
        return;
    nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, prefix);
    nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_GROUP, group);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LOG_SNAPLEN, bytes);
}

void pc_nft_decide(struct pc_nft_rule *rule, enum pc_nft_verdict verdict, const char *chain) {
    static const int32_t codes[] = {NF_DROP, NF_ACCEPT, NFT_GOTO, NFT_RETURN, NFT_JUMP};
    struct nftnl_expr *expression = add(rule, "immediate");
    if (expression == NULL)
        return;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, (uint32_t)codes[verdict]);
    if (chain != NULL)
        nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain);
}
