// A region's life: size, format, validation, sums.
#include "pc_ring_layout.h"

#include <errno.h>
#include <string.h>

#define MAGIC 0x31474e4952435054u // "TPCRING1"
#define VERSION 1u

static bool layout_valid(uint32_t lanes, uint64_t lane_bytes) {
    return lanes >= 1 && lanes <= PC_RING_MAX_LANES && lane_bytes >= PC_RING_MIN_LANE &&
           lane_bytes <= PC_RING_MAX_LANE && (lane_bytes & (lane_bytes - 1)) == 0;
}

size_t pc_ring_size(uint32_t lanes, uint64_t lane_bytes) {
    if (!layout_valid(lanes, lane_bytes)) return 0;
    return sizeof(struct pc_ring_shared) + lanes * (sizeof(struct pc_ring_lane) + lane_bytes + SPILL);
}

int pc_ring_init(struct pc_ring *ring, void *mem, size_t size, uint32_t lanes, uint64_t lane_bytes) {
    size_t need = pc_ring_size(lanes, lane_bytes);
    if (!ring || !mem || ((uintptr_t)mem & 127) != 0 || need == 0 || size < need) return -EINVAL;
    struct pc_ring_shared *shared = mem;
    *ring = (struct pc_ring){.shared = shared, .lane_bytes = lane_bytes, .lanes = lanes};
    shared->version = VERSION;
    shared->lanes = lanes;
    shared->lane_bytes = lane_bytes;
    shared->size = need;
    atomic_init(&shared->waiting, 0);
    atomic_init(&shared->high, 0);
    for (uint32_t i = 0; i < lanes; i++) {
        memset(&shared->lane[i], 0, sizeof shared->lane[i]);
        atomic_init(word_at(lane_data(ring, i), lane_bytes - 1, 0), 0);
    }
    // Release: pairs with the acquire load in pc_ring_attach; who sees the magic sees the layout and empty lanes.
    atomic_store_explicit(&shared->magic, MAGIC, memory_order_release);
    return 0;
}

int pc_ring_attach(struct pc_ring *ring, void *mem, size_t size) {
    if (!ring || !mem || ((uintptr_t)mem & 127) != 0 || size < sizeof(struct pc_ring_shared)) return -EINVAL;
    struct pc_ring_shared *shared = mem;
    // Acquire: pairs with the release store in pc_ring_init.
    if (atomic_load_explicit(&shared->magic, memory_order_acquire) != MAGIC) return -EPROTO;
    // Volatile: each number is read once; what was checked is what is kept.
    const volatile struct pc_ring_shared *once = shared;
    uint32_t version = once->version, lanes = once->lanes;
    uint64_t lane_bytes = once->lane_bytes, total = once->size;
    if (version != VERSION) return -EPROTO;
    size_t need = pc_ring_size(lanes, lane_bytes);
    if (need == 0 || need != total || need > size) return -EBADMSG;
    *ring = (struct pc_ring){.shared = shared, .lane_bytes = lane_bytes, .lanes = lanes};
    return 0;
}

void pc_ring_get_stats(const struct pc_ring *ring, struct pc_ring_stats *stats) {
    *stats = (struct pc_ring_stats){.lanes = ring->lanes};
    for (uint32_t i = 0; i < ring->lanes; i++) {
        struct pc_ring_lane *lane = &ring->shared->lane[i];
        stats->attempts += atomic_load_explicit(&lane->attempts, memory_order_relaxed);
        stats->commits += atomic_load_explicit(&lane->commits, memory_order_relaxed);
        stats->dropped += atomic_load_explicit(&lane->dropped, memory_order_relaxed);
        stats->claimed += atomic_load_explicit(&lane->owner, memory_order_relaxed) != 0;
    }
}
