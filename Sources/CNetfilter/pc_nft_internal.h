#pragma once
#include "pc_nft_batch.h"

#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

struct pc_nft_batch {
    char table[PC_NFT_NAME];
    char *bytes;
    size_t length;
    size_t capacity;
    /// Sequence number of the next message; the first is 1, after the message that opens the batch.
    uint32_t next;
    int error;
    /// Where the last message starts, to ask for its acknowledgement.
    size_t last;
};

struct pc_nft_rule {
    struct pc_nft_batch *batch;
    struct nftnl_rule *rule;
};

/// A single message never has more bytes; elements are sent in portions.
#define PC_NFT_MESSAGE (64u << 10)

/// Room for a message at the end of the batch, or NULL (and the batch has an error).
void *_Nullable pc_nft_reserve(struct pc_nft_batch *batch);
/// Keeps the message that was made in the reserved room.
void pc_nft_keep(struct pc_nft_batch *batch, const struct nlmsghdr *header);
/// Remembers the first error.
void pc_nft_fail(struct pc_nft_batch *batch, int error);

#pragma clang assume_nonnull end
