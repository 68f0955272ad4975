#include "pc_nft_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Elements of one message: some 100 bytes each, and the attribute around them has a length of 16 bits.
#define PC_NFT_PORTION 300

void pc_nft_fail(struct pc_nft_batch *batch, int error) {
    if (batch->error == 0)
        batch->error = error;
}

void *pc_nft_reserve(struct pc_nft_batch *batch) {
    if (batch->error != 0)
        return NULL;
    if (batch->capacity - batch->length < PC_NFT_MESSAGE) {
        size_t capacity = batch->capacity * 2 + 2 * PC_NFT_MESSAGE;
        char *grown = realloc(batch->bytes, capacity);
        if (grown == NULL) {
            pc_nft_fail(batch, -ENOMEM);
            return NULL;
        }
        batch->bytes = grown;
        batch->capacity = capacity;
    }
    return batch->bytes + batch->length;
}

void pc_nft_keep(struct pc_nft_batch *batch, const struct nlmsghdr *header) {
    batch->last = batch->length;
    batch->length += MNL_ALIGN(header->nlmsg_len);
}

struct pc_nft_batch *pc_nft_batch_new(const char *table) {
    struct pc_nft_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    snprintf(batch->table, sizeof batch->table, "%s", table);
    batch->next = 1;
    void *room = pc_nft_reserve(batch);
    if (room != NULL)
        pc_nft_keep(batch, nftnl_batch_begin(room, 0));
    return batch;
}

void pc_nft_batch_free(struct pc_nft_batch *batch) {
    if (batch == NULL)
        return;
    free(batch->bytes);
    free(batch);
}

int pc_nft_batch_error(const struct pc_nft_batch *batch) { return batch->error; }

uint32_t pc_nft_batch_count(const struct pc_nft_batch *batch) { return batch->next; }

uint64_t pc_nft_batch_size(const struct pc_nft_batch *batch) { return batch->length; }

static struct nlmsghdr *begin(struct pc_nft_batch *batch, uint16_t type, uint16_t flags) {
    void *room = pc_nft_reserve(batch);
    if (room == NULL)
        return NULL;
    return nftnl_nlmsg_build_hdr(room, type, NFPROTO_INET, flags, batch->next++);
}

static void table(struct pc_nft_batch *batch, uint16_t type, uint16_t flags) {
    struct nlmsghdr *header = begin(batch, type, flags);
    if (header == NULL)
        return;
    struct nftnl_table *table = nftnl_table_alloc();
    if (table == NULL)
        return pc_nft_fail(batch, -ENOMEM);
    nftnl_table_set_str(table, NFTNL_TABLE_NAME, batch->table);
    nftnl_table_nlmsg_build_payload(header, table);
    nftnl_table_free(table);
    pc_nft_keep(batch, header);
}

void pc_nft_add_table(struct pc_nft_batch *batch) { table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE); }

void pc_nft_delete_table(struct pc_nft_batch *batch) { table(batch, NFT_MSG_DELTABLE, 0); }

static void chain(
    struct pc_nft_batch *batch, uint16_t type, uint16_t flags, const char *name, int hook, int32_t priority) {
    struct nlmsghdr *header = begin(batch, type, flags);
    if (header == NULL)
        return;
    struct nftnl_chain *chain = nftnl_chain_alloc();
    if (chain == NULL)
        return pc_nft_fail(batch, -ENOMEM);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, batch->table);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    if (hook >= 0) {
        static const uint32_t hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hooks[hook]);
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
        nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
    }
    nftnl_chain_nlmsg_build_payload(header, chain);
    nftnl_chain_free(chain);
    pc_nft_keep(batch, header);
}

void pc_nft_add_chain(struct pc_nft_batch *batch, const char *name) {
    chain(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, name, -1, 0);
}

void pc_nft_add_base_chain(struct pc_nft_batch *batch, const char *name, enum pc_nft_hook hook, int32_t priority) {
    chain(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, name, (int)hook, priority);
}

void pc_nft_delete_chain(struct pc_nft_batch *batch, const char *name) { chain(batch, NFT_MSG_DELCHAIN, 0, name, -1, 0); }

void pc_nft_flush_rules(struct pc_nft_batch *batch) {
    struct nlmsghdr *header = begin(batch, NFT_MSG_DELRULE, 0);
    if (header == NULL)
        return;
    struct nftnl_rule *rule = nftnl_rule_alloc();
    if (rule == NULL)
        return pc_nft_fail(batch, -ENOMEM);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, batch->table);
    nftnl_rule_nlmsg_build_payload(header, rule);
    nftnl_rule_free(rule);
    pc_nft_keep(batch, header);
}

static uint32_t key_length(enum pc_nft_key key) {
    static const uint32_t lengths[] = {4, 16, 2, PC_NFT_INTERFACE};
    return lengths[key];
}

/// The order of a key's bytes, which the kernel does not care for and nft(8) needs to print it.
static void put_order(struct nftnl_set *set, enum pc_nft_key key) {
    enum { HOST_ORDER = 1, NETWORK_ORDER = 2 };
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    if (data == NULL)
        return;
    nftnl_udata_put_u32(
        data, NFTNL_UDATA_SET_KEYBYTEORDER, key == PC_NFT_NAME_OF_INTERFACE ? HOST_ORDER : NETWORK_ORDER);
    nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data), nftnl_udata_buf_len(data));
    nftnl_udata_buf_free(data);
}

/// A set of the batch's table by its name; NULL without memory, which the batch then remembers.
static struct nftnl_set *named_set(struct pc_nft_batch *batch, const char *name) {
    struct nftnl_set *set = nftnl_set_alloc();
    if (set == NULL) {
        pc_nft_fail(batch, -ENOMEM);
        return NULL;
    }
    nftnl_set_set_str(set, NFTNL_SET_TABLE, batch->table);
    nftnl_set_set_str(set, NFTNL_SET_NAME, name);
    return set;
}

/// Adds the message about a set, which is given up.
static void add_set_message(struct pc_nft_batch *batch, uint16_t type, uint16_t flags, struct nftnl_set *set) {
    struct nlmsghdr *header = begin(batch, type, flags);
    if (header != NULL) {
        if (type == NFT_MSG_NEWSETELEM)
            nftnl_set_elems_nlmsg_build_payload(header, set);
        else
            nftnl_set_nlmsg_build_payload(header, set);
        pc_nft_keep(batch, header);
    }
    nftnl_set_free(set);
}

void pc_nft_add_set(struct pc_nft_batch *batch, const char *name, enum pc_nft_key key, int is_interval, int is_map) {
    // How nft(8) names the types when it prints a set; the kernel only keeps the number.
    static const uint32_t types[] = {7 /* ipv4_addr */, 8 /* ipv6_addr */, 13 /* inet_service */, 41 /* ifname */};
    struct nftnl_set *set = named_set(batch, name);
    if (set == NULL)
        return;
    nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
    nftnl_set_set_u32(set, NFTNL_SET_ID, batch->next);
    nftnl_set_set_u32(set, NFTNL_SET_FLAGS, (is_interval ? NFT_SET_INTERVAL : 0) | (is_map ? NFT_SET_MAP : 0));
    nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, types[key]);
    nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key_length(key));
    if (is_map) {
        nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
        nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, 0);
    }
    put_order(set, key);
    add_set_message(batch, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, set);
}

static int32_t code(enum pc_nft_verdict verdict) {
    static const int32_t codes[] = {NF_DROP, NF_ACCEPT, NFT_GOTO, NFT_RETURN, NFT_JUMP};
    return codes[verdict];
}

static int fill(
    struct nftnl_set *set, enum pc_nft_key key, int is_map, const struct pc_nft_element *elements, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct nftnl_set_elem *element = nftnl_set_elem_alloc();
        if (element == NULL)
            return -ENOMEM;
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, elements[i].key, key_length(key));
        if (elements[i].ends) {
            nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
        } else if (is_map) {
            int32_t verdict = code(elements[i].verdict);
            nftnl_set_elem_set(element, NFTNL_SET_ELEM_VERDICT, &verdict, sizeof verdict);
            if (elements[i].verdict == PC_NFT_GOTO || elements[i].verdict == PC_NFT_JUMP)
                nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, elements[i].chain);
        }
        nftnl_set_elem_add(set, element);
    }
    return 0;
}

void pc_nft_add_elements(
    struct pc_nft_batch *batch, const char *name, enum pc_nft_key key, int is_map, const struct pc_nft_element *elements,
    uint32_t count) {
    // An element with a chain's name may have 256 bytes more.
    uint32_t portion = is_map ? PC_NFT_PORTION / 3 : PC_NFT_PORTION;
    for (uint32_t done = 0; done < count; done += portion) {
        struct nftnl_set *set = named_set(batch, name);
        if (set == NULL)
            return;
        uint32_t rest = count - done;
        int error = fill(set, key, is_map, elements + done, rest < portion ? rest : portion);
        if (error != 0)
            pc_nft_fail(batch, error);
        add_set_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, set);
    }
}

void pc_nft_delete_set(struct pc_nft_batch *batch, const char *name) {
    struct nftnl_set *set = named_set(batch, name);
    if (set != NULL)
        add_set_message(batch, NFT_MSG_DELSET, 0, set);
}

static void quota(struct pc_nft_batch *batch, uint16_t type, uint16_t flags, const char *name, uint64_t bytes) {
    struct nlmsghdr *header = begin(batch, type, flags);
    if (header == NULL)
        return;
    struct nftnl_obj *quota = nftnl_obj_alloc();
    if (quota == NULL)
        return pc_nft_fail(batch, -ENOMEM);
    nftnl_obj_set_str(quota, NFTNL_OBJ_TABLE, batch->table);
    nftnl_obj_set_str(quota, NFTNL_OBJ_NAME, name);
    nftnl_obj_set_u32(quota, NFTNL_OBJ_TYPE, NFT_OBJECT_QUOTA);
    if (type == NFT_MSG_NEWOBJ) {
        nftnl_obj_set_u64(quota, NFTNL_OBJ_QUOTA_BYTES, bytes);
        nftnl_obj_set_u32(quota, NFTNL_OBJ_QUOTA_FLAGS, NFT_QUOTA_F_INV);
    }
    nftnl_obj_nlmsg_build_payload(header, quota);
    nftnl_obj_free(quota);
    pc_nft_keep(batch, header);
}

void pc_nft_add_quota(struct pc_nft_batch *batch, const char *name, uint64_t bytes) {
    quota(batch, NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, name, bytes);
}

void pc_nft_delete_quota(struct pc_nft_batch *batch, const char *name) { quota(batch, NFT_MSG_DELOBJ, 0, name, 0); }

struct pc_nft_rule *pc_nft_rule_new(struct pc_nft_batch *batch, const char *chain) {
    struct pc_nft_rule *rule = malloc(sizeof *rule);
    struct nftnl_rule *inner = nftnl_rule_alloc();
    if (rule == NULL || inner == NULL) {
        free(rule);
        if (inner != NULL)
            nftnl_rule_free(inner);
        pc_nft_fail(batch, -ENOMEM);
        return NULL;
    }
    nftnl_rule_set_u32(inner, NFTNL_RULE_FAMILY, NFPROTO_INET);
    nftnl_rule_set_str(inner, NFTNL_RULE_TABLE, batch->table);
    nftnl_rule_set_str(inner, NFTNL_RULE_CHAIN, chain);
    *rule = (struct pc_nft_rule){.batch = batch, .rule = inner};
    return rule;
}

void pc_nft_add_rule(struct pc_nft_batch *batch, struct pc_nft_rule *rule) {
    struct nlmsghdr *header = begin(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    if (header != NULL) {
        nftnl_rule_nlmsg_build_payload(header, rule->rule);
        pc_nft_keep(batch, header);
    }
    nftnl_rule_free(rule->rule);
    free(rule);
}
