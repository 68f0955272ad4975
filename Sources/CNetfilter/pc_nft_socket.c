#include "pc_netfilter.h"
#include "pc_nft_internal.h"
#include "pc_nf_receive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
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

struct listing {
    const char *table;
    enum pc_nft_kind kind;
    pc_nft_item_function each;
    void *context;
};

static void copy_name(struct pc_nft_item *item, const char *name) {
    snprintf(item->name, sizeof item->name, "%s", name == NULL ? "" : name);
}

static int is_table(const struct listing *listing, const char *table) {
    return table != NULL && strcmp(table, listing->table) == 0;
}

static int list_chain(const struct nlmsghdr *header, const struct listing *listing, struct pc_nft_item *item) {
    struct nftnl_chain *chain = nftnl_chain_alloc();
    if (chain == NULL)
        return -ENOMEM;
    int found = nftnl_chain_nlmsg_parse(header, chain) == 0
        && is_table(listing, nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE));
    if (found) {
        copy_name(item, nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
        item->handle = nftnl_chain_get_u64(chain, NFTNL_CHAIN_HANDLE);
    }
    nftnl_chain_free(chain);
    return found;
}

static int list_set(const struct nlmsghdr *header, const struct listing *listing, struct pc_nft_item *item) {
    struct nftnl_set *set = nftnl_set_alloc();
    if (set == NULL)
        return -ENOMEM;
    int found =
        nftnl_set_nlmsg_parse(header, set) == 0 && is_table(listing, nftnl_set_get_str(set, NFTNL_SET_TABLE));
    if (found) {
        copy_name(item, nftnl_set_get_str(set, NFTNL_SET_NAME));
        item->handle = nftnl_set_is_set(set, NFTNL_SET_HANDLE) ? nftnl_set_get_u64(set, NFTNL_SET_HANDLE) : 0;
    }
    nftnl_set_free(set);
    return found;
}

static int list_quota(const struct nlmsghdr *header, const struct listing *listing, struct pc_nft_item *item) {
    struct nftnl_obj *object = nftnl_obj_alloc();
    if (object == NULL)
        return -ENOMEM;
    int found = nftnl_obj_nlmsg_parse(header, object) == 0
        && is_table(listing, nftnl_obj_get_str(object, NFTNL_OBJ_TABLE))
        && nftnl_obj_get_u32(object, NFTNL_OBJ_TYPE) == NFT_OBJECT_QUOTA;
    if (found) {
        copy_name(item, nftnl_obj_get_str(object, NFTNL_OBJ_NAME));
        item->handle = nftnl_obj_get_u64(object, NFTNL_OBJ_HANDLE);
        item->limit = nftnl_obj_get_u64(object, NFTNL_OBJ_QUOTA_BYTES);
        item->used = nftnl_obj_get_u64(object, NFTNL_OBJ_QUOTA_CONSUMED);
    }
    nftnl_obj_free(object);
    return found;
}

static int list_rule(const struct nlmsghdr *header, const struct listing *listing, struct pc_nft_item *item) {
    struct nftnl_rule *rule = nftnl_rule_alloc();
    if (rule == NULL)
        return -ENOMEM;
    int found =
        nftnl_rule_nlmsg_parse(header, rule) == 0 && is_table(listing, nftnl_rule_get_str(rule, NFTNL_RULE_TABLE));
    if (found) {
        copy_name(item, nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));
        item->handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
    }
    nftnl_rule_free(rule);
    return found;
}

static int list_message(const struct nlmsghdr *header, void *context) {
    static const uint16_t answers[] = {NFT_MSG_NEWCHAIN, NFT_MSG_NEWSET, NFT_MSG_NEWOBJ, NFT_MSG_NEWRULE};
    static int (*const readers[])(const struct nlmsghdr *, const struct listing *, struct pc_nft_item *) = {
        list_chain, list_set, list_quota, list_rule};
    const struct listing *listing = context;
    if (header->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | answers[listing->kind])
        || mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
        return MNL_CB_OK;
    const struct nfgenmsg *generic = mnl_nlmsg_get_payload(header);
    if (generic->nfgen_family != NFPROTO_INET)
        return MNL_CB_OK;
    struct pc_nft_item item = {0};
    int found = readers[listing->kind](header, listing, &item);
    if (found < 0) {
        errno = -found;
        return MNL_CB_ERROR;
    }
    if (found)
        listing->each(listing->context, &item);
    return MNL_CB_OK;
}

int pc_nft_list(int socket, const char *table, enum pc_nft_kind kind, pc_nft_item_function each, void *context) {
    static const uint16_t questions[] = {NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETOBJ, NFT_MSG_GETRULE};
    static const uint16_t table_attributes[] = {NFTA_CHAIN_TABLE, NFTA_SET_TABLE, NFTA_OBJ_TABLE, NFTA_RULE_TABLE};
    char request[MNL_NLMSG_HDRLEN + 64 + PC_NFT_NAME];
    struct nlmsghdr *header = nftnl_nlmsg_build_hdr(request, questions[kind], NFPROTO_INET, NLM_F_DUMP, 1);
    mnl_attr_put_strz(header, table_attributes[kind], table);
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

int pc_nf_watch(int socket, int wanted) {
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
