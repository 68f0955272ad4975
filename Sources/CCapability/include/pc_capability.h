#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

struct pc_capabilities {
    uint64_t permitted, effective, inheritable;
};

/// capget(2) through libcap. Capabilities belong to the calling *thread*.
int pc_capabilities_get(struct pc_capabilities *out);
/// capset(2) through libcap; 0 or -errno.
int pc_capabilities_set(const struct pc_capabilities *sets);
/// The bounding and ambient sets (prctl(2)).
int pc_capabilities_bounding(uint64_t *out);
int pc_capabilities_ambient(uint64_t *out);
/// Drops from the bounding set everything not in `keep`.
int pc_capabilities_limit_bounding(uint64_t keep);
/// Empties the ambient set.
int pc_capabilities_clear_ambient(void);
/// The number of capabilities of the running kernel.
int pc_capability_count(void);

#pragma clang assume_nonnull end
