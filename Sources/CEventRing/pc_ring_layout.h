// The region as it lies in memory, for the files of the ring only.
#pragma once

#include "pc_event.h"
#include "pc_ring.h"

#include <stdatomic.h>
#include <stdbool.h>

#define WORD sizeof(uint64_t)
#define LENGTH_MASK 0x3fffu
#define FLAG_USED 0x80000000u // keeps the word of any record from being 0
#define FLAG_LOSS 0x40000000u // drops happened since the record before
#define SPILL ((PC_RING_MAX_RECORD + WORD + 127) & ~(size_t)127)

// Two lines apart: adjacent-line prefetchers pull pairs.
#define APART _Alignas(128)

// Groups of words by writer, so that no line has two.
struct pc_ring_lane {
    APART _Atomic uint64_t owner; // changes by claim, release, abandon
    APART _Atomic uint64_t tail;  // producer's; read at recovery and resynchronisation only
    _Atomic uint64_t attempts;
    _Atomic uint64_t commits;
    APART _Atomic uint64_t dropped; // producer's, but polled by an idle consumer: not in the line written per record
    APART _Atomic uint64_t head;    // consumer's
    _Atomic uint64_t seen;
    _Atomic uint64_t told;
};

struct pc_ring_shared {
    APART _Atomic uint64_t magic;
    uint32_t version;
    uint32_t lanes;
    uint64_t lane_bytes;
    uint64_t size;
    APART _Atomic uint32_t waiting; // the consumer sleeps or is about to
    _Atomic uint32_t high;          // lanes at and above were never claimed
    APART struct pc_ring_lane lane[];
};

static_assert(PC_EVENT_MAX == PC_RING_MAX_RECORD, "an event is one record");
static_assert(PC_RING_MAX_RECORD <= LENGTH_MASK, "length field");
static_assert(PC_RING_MAX_RECORD + 3 * WORD <= PC_RING_MIN_LANE, "a lane holds the largest record");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes: must be lock-free");

static inline unsigned char *lane_data(const struct pc_ring *ring, uint32_t index) {
    unsigned char *first = (unsigned char *)&ring->shared->lane[ring->lanes];
    return first + index * (ring->lane_bytes + SPILL);
}

// The word at a position. Records start at multiples of the word size.
static inline _Atomic uint64_t *word_at(unsigned char *data, uint64_t mask, uint64_t position) {
    return (_Atomic uint64_t *)(void *)(data + (position & mask));
}

// Position after a record: the next word boundary, or the lane's start if the record reaches or crosses its end.
static inline uint64_t position_after(uint64_t position, uint64_t mask, uint64_t length) {
    uint64_t next = position + ((WORD + length + WORD - 1) & ~(uint64_t)(WORD - 1));
    return ((next ^ position) & ~mask) ? next & ~mask : next;
}

static inline bool word_valid(uint64_t word) {
    uint32_t low = (uint32_t)word, length = low & LENGTH_MASK;
    return (low & FLAG_USED) && (low & ~(FLAG_USED | FLAG_LOSS | LENGTH_MASK)) == 0 && length >= 1 &&
           length <= PC_RING_MAX_RECORD;
}

static inline bool span_valid(uint64_t tail, uint64_t head, uint64_t mask) {
    return ((tail | head) & (WORD - 1)) == 0 && tail - head <= mask + 1;
}
