#include "pc_netfilter.h"
#include "pc_nft_internal.h"
#include "pc_nf_receive.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int generation_attribute(const struct nlattr *attribute, void *context) {
    if (mnl_attr_get_type(attribute) == NFTA_GEN_ID && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
        *(uint32_t *)context = ntohl(mnl_attr_get_u32(attribute));
    return MNL_CB_OK;
}

static int generation_message(const struct nlmsghdr *header, void *context) {
    if (header->nlmsg_type == ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN))
        return mnl_attr_parse(header, sizeof(struct nfgenmsg), generation_attribute, context);
    return MNL_CB_OK;
}

int pc_nf_generation(int socket, uint32_t *generation) {
    char request[MNL_NLMSG_HDRLEN + 64];
    struct nlmsghdr *header = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETGEN, AF_UNSPEC, NLM_F_ACK, 1);
    *generation = 0;
    int error = pc_nf_send(socket, header, header->nlmsg_len);
    if (error == 0)
        error = pc_nf_receive(socket, generation_message, generation);
    return error == 0 && *generation == 0 ? -EPROTO : error;
}

/// Opens the batch anew, now that the ruleset's number is known.
static int set_generation(struct pc_nft_batch *batch, uint32_t generation) {
    // The first message was made without it; it is rebuilt in front of the others.
    char room[128];
    struct nlmsghdr *first = nftnl_batch_begin(room, 0);
    mnl_attr_put_u32(first, NFNL_BATCH_GENID, htonl(generation));
    size_t old = MNL_ALIGN(((struct nlmsghdr *)batch->bytes)->nlmsg_len);
    size_t new = MNL_ALIGN(first->nlmsg_len);
    if (pc_nft_reserve(batch) == NULL)
        return batch->error;
    memmove(batch->bytes + new, batch->bytes + old, batch->length - old);
    memcpy(batch->bytes, first, first->nlmsg_len);
    batch->length = batch->length - old + new;
    batch->last = batch->last == 0 ? 0 : batch->last - old + new;
    return 0;
}

int pc_nft_commit(int socket, struct pc_nft_batch *batch, uint32_t generation, int only_checks, uint32_t *failed) {
    *failed = 0;
    int error = batch->error != 0 ? batch->error : set_generation(batch, generation);
    if (error < 0)
        return error;
    size_t length = batch->length;
    // Without the closing message the kernel checks everything and undoes it (as nft --check has it).
    if (!only_checks) {
        void *room = pc_nft_reserve(batch);
        if (room == NULL)
            return batch->error;
        length += MNL_ALIGN(nftnl_batch_end(room, batch->next)->nlmsg_len);
    }
    if (batch->last != 0)
        ((struct nlmsghdr *)(batch->bytes + batch->last))->nlmsg_flags |= NLM_F_ACK;
    error = pc_nf_send(socket, batch->bytes, length);
    return error < 0 ? error : pc_nf_receive_acknowledgements(socket, batch->next - 1, failed);
}

// MARK: lists

/// Where the things of a kind have what is read of them. libnftnl would read it all, and end the process over an attribute that
/// it does not like.
static const struct {
    uint16_t question;
    uint16_t answer;
    uint16_t table;
    uint16_t name;
    uint16_t handle;
} kinds[] = {
    [PC_NFT_CHAINS] = {NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HANDLE},
    [PC_NFT_SETS] = {NFT_MSG_GETSET, NFT_MSG_NEWSET, NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_HANDLE},
    [PC_NFT_QUOTAS] = {NFT_MSG_GETOBJ, NFT_MSG_NEWOBJ, NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_HANDLE},
    [PC_NFT_RULES] = {NFT_MSG_GETRULE, NFT_MSG_NEWRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE},
};

struct listing {
    const char *table;
    enum pc_nft_kind kind;
    pc_nft_item_function each;
    void *context;
};

struct listed {
    const struct listing *listing;
    struct pc_nft_item item;
    int is_in_table;
    int is_quota;
};

static uint64_t long_number(const struct nlattr *attribute) {
    return mnl_attr_validate(attribute, MNL_TYPE_U64) == 0 ? be64toh(mnl_attr_get_u64(attribute)) : 0;
}

static int quota_attribute(const struct nlattr *attribute, void *context) {
    struct pc_nft_item *item = context;
    if (mnl_attr_get_type(attribute) == NFTA_QUOTA_BYTES)
        item->limit = long_number(attribute);
    else if (mnl_attr_get_type(attribute) == NFTA_QUOTA_CONSUMED)
        item->used = long_number(attribute);
    return MNL_CB_OK;
}

static int listed_attribute(const struct nlattr *attribute, void *context) {
    struct listed *listed = context;
    enum pc_nft_kind kind = listed->listing->kind;
    uint16_t type = mnl_attr_get_type(attribute);
    int is_text = mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0;
    if (type == kinds[kind].table && is_text)
        listed->is_in_table = strcmp(mnl_attr_get_str(attribute), listed->listing->table) == 0;
    else if (type == kinds[kind].name && is_text)
        snprintf(listed->item.name, sizeof listed->item.name, "%s", mnl_attr_get_str(attribute));
    else if (type == kinds[kind].handle)
        listed->item.handle = long_number(attribute);
    else if (kind == PC_NFT_QUOTAS && type == NFTA_OBJ_TYPE)
        listed->is_quota = mnl_attr_validate(attribute, MNL_TYPE_U32) == 0
            && ntohl(mnl_attr_get_u32(attribute)) == NFT_OBJECT_QUOTA;
    else if (kind == PC_NFT_QUOTAS && type == NFTA_OBJ_DATA && mnl_attr_validate(attribute, MNL_TYPE_NESTED) == 0)
        return mnl_attr_parse_nested(attribute, quota_attribute, &listed->item);
    return MNL_CB_OK;
}

static int list_message(const struct nlmsghdr *header, void *context) {
    const struct listing *listing = context;
    if (header->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | kinds[listing->kind].answer)
        || mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
        return MNL_CB_OK;
    const struct nfgenmsg *generic = mnl_nlmsg_get_payload(header);
    struct listed listed = {.listing = listing};
    if (generic->nfgen_family != NFPROTO_INET
        || mnl_attr_parse(header, sizeof(struct nfgenmsg), listed_attribute, &listed) < 0)
        return MNL_CB_OK;
    if (listed.is_in_table && (listed.is_quota || listing->kind != PC_NFT_QUOTAS))
        listing->each(listing->context, &listed.item);
    return MNL_CB_OK;
}

int pc_nft_list(int socket, const char *table, enum pc_nft_kind kind, pc_nft_item_function each, void *context) {
    char request[MNL_NLMSG_HDRLEN + 64 + PC_NFT_NAME];
    struct nlmsghdr *header = nftnl_nlmsg_build_hdr(request, kinds[kind].question, NFPROTO_INET, NLM_F_DUMP, 1);
    mnl_attr_put_strz(header, kinds[kind].table, table);
    struct listing listing = {table, kind, each, context};
    int error = pc_nf_send(socket, header, header->nlmsg_len);
    return error < 0 ? error : pc_nf_receive(socket, list_message, &listing);
}

int pc_nft_list_parse(
    const void *bytes, uint32_t length, const char *table, enum pc_nft_kind kind, pc_nft_item_function each,
    void *context) {
    struct listing listing = {table, kind, each, context};
    return pc_nf_run(bytes, length, list_message, &listing);
}

static void keep_used(void *context, const struct pc_nft_item *item) { *(uint64_t *)context = item->used; }

int pc_nft_reset_quota(int socket, const char *table, const char *quota, uint64_t *used) {
    char request[MNL_NLMSG_HDRLEN + 64 + 2 * PC_NFT_NAME];
    struct nlmsghdr *header = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETOBJ_RESET, NFPROTO_INET, NLM_F_ACK, 1);
    mnl_attr_put_strz(header, NFTA_OBJ_TABLE, table);
    mnl_attr_put_strz(header, NFTA_OBJ_NAME, quota);
    mnl_attr_put_u32(header, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_QUOTA));
    struct listing listing = {table, PC_NFT_QUOTAS, keep_used, used};
    *used = 0;
    int error = pc_nf_send(socket, header, header->nlmsg_len);
    return error < 0 ? error : pc_nf_receive(socket, list_message, &listing);
}

// MARK: changes

struct watching {
    const char *table;
    pc_nft_change_function each;
    void *context;
};

/// Messages of that port never come into the socket's queue: they are as many as its transaction has elements.
static int pass_over(int socket, uint32_t port) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
        // The number has this machine's order of bytes, and is read as if it had the network's.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

int pc_nf_watch(int socket, int wanted, uint32_t but_port) {
    int error = wanted ? pass_over(socket, but_port) : 0;
    if (error < 0)
        return error;
    int group = NFNLGRP_NFTABLES;
    int option = wanted ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;
    return setsockopt(socket, SOL_NETLINK, option, &group, sizeof group) == 0 ? 0 : -errno;
}

static int change_attribute(const struct nlattr *attribute, void *context) {
    struct pc_nft_change *change = context;
    switch (mnl_attr_get_type(attribute)) {
    case NFTA_GEN_ID:
        if (mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            change->generation = ntohl(mnl_attr_get_u32(attribute));
        break;
    case NFTA_GEN_PROC_PID:
        if (mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            change->process = ntohl(mnl_attr_get_u32(attribute));
        break;
    case NFTA_GEN_PROC_NAME:
        if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
            snprintf(change->name, sizeof change->name, "%s", mnl_attr_get_str(attribute));
        break;
    default: break;
    }
    return MNL_CB_OK;
}

/// Every kind of message names its table in the attribute 1: NFTA_{TABLE_NAME,CHAIN_TABLE,RULE_TABLE,SET_TABLE,OBJ_TABLE,
/// SET_ELEM_LIST_TABLE,FLOWTABLE_TABLE}.
static int table_attribute(const struct nlattr *attribute, void *context) {
    if (mnl_attr_get_type(attribute) == 1 && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
        *(const char **)context = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

static int change_message(const struct nlmsghdr *header, void *context) {
    const struct watching *watching = context;
    struct pc_nft_change change = {.port = header->nlmsg_pid};
    if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES
        || mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
        return MNL_CB_OK;
    if (NFNL_MSG_TYPE(header->nlmsg_type) == NFT_MSG_NEWGEN) {
        if (mnl_attr_parse(header, sizeof(struct nfgenmsg), change_attribute, &change) < 0)
            return MNL_CB_OK;
    } else {
        const struct nfgenmsg *generic = mnl_nlmsg_get_payload(header);
        const char *table = NULL;
        if (mnl_attr_parse(header, sizeof(struct nfgenmsg), table_attribute, &table) < 0)
            return MNL_CB_OK;
        change.in_table =
            generic->nfgen_family == NFPROTO_INET && table != NULL && strcmp(table, watching->table) == 0;
    }
    watching->each(watching->context, &change);
    return MNL_CB_OK;
}

int pc_nf_read_changes(int socket, const char *table, pc_nft_change_function each, void *context) {
    struct watching watching = {table, each, context};
    int result = pc_nf_read(socket, change_message, &watching);
    return result < 0 ? result : 0;
}

int pc_nf_change_parse(
    const void *bytes, uint32_t length, const char *table, pc_nft_change_function each, void *context) {
    struct watching watching = {table, each, context};
    return pc_nf_run(bytes, length, change_message, &watching);
}
