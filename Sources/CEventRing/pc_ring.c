#include "pc_ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define PC_RING_MAGIC 0x31474E4952504350ULL
#define INDEX_BITS 40
#define INDEX_MASK ((1ULL << INDEX_BITS) - 1)
#define NUMBER_MASK ((1ULL << (64 - INDEX_BITS)) - 1)

struct pc_ring_memory {
    uint64_t magic;
    uint64_t cells;
    // Each on a cache line of its own (two, for the adjacent-line prefetcher): written by producers, by the consumer, rarely.
    _Alignas(128) _Atomic uint64_t head; // cell index in the low 40 bits, record number above
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) _Atomic uint32_t sleeping;
    _Alignas(128) _Atomic uint64_t dropped;
    _Alignas(128) unsigned char data[];
};

struct cell {
    _Atomic uint64_t mark;
    unsigned char data[PC_RING_CELL_DATA];
};
_Static_assert(sizeof(struct cell) == PC_RING_CELL, "a cell is two cache lines");

static struct cell *cell_at(const struct pc_ring *ring, uint64_t index) {
    return (struct cell *)(void *)ring->memory->data + (index & ring->mask);
}
static uint64_t cells_of(size_t length) { return (length + 4 + PC_RING_CELL_DATA - 1) / PC_RING_CELL_DATA; }
static uint64_t mark_of(uint64_t index, uint64_t number) {
    return ((index + 1) & INDEX_MASK) | (number & NUMBER_MASK) << INDEX_BITS;
}

size_t pc_ring_size(uint64_t cells) {
    if (cells < 128 || cells > 1u << 24 || (cells & (cells - 1))) return 0;
    return sizeof(struct pc_ring_memory) + cells * PC_RING_CELL;
}

int pc_ring_init(void *memory, size_t size, uint64_t cells) {
    size_t wanted = pc_ring_size(cells);
    if (wanted == 0 || size < wanted || (uintptr_t)memory % 128) return -EINVAL;
    struct pc_ring_memory *shared = memory;
    shared->cells = cells;
    shared->magic = PC_RING_MAGIC;
    return 0;
}

int pc_ring_attach(struct pc_ring *ring, void *memory, size_t size) {
    struct pc_ring_memory *shared = memory;
    if (size < sizeof *shared || (uintptr_t)memory % 128 || shared->magic != PC_RING_MAGIC) return -EINVAL;
    uint64_t cells = shared->cells;
    size_t wanted = pc_ring_size(cells);
    if (wanted == 0 || wanted > size) return -EINVAL;
    *ring = (struct pc_ring){.memory = shared, .mask = cells - 1};
    ring->tail = ring->published = atomic_load_explicit(&shared->tail, memory_order_acquire) & INDEX_MASK;
    // A consumer that takes over expects the number of the oldest record, which a committed mark tells; see pc_ring_read.
    ring->number = UINT64_MAX;
    // Drops before this consumer's time were its predecessor's to report, or happened while nobody was there: reported now.
    return 0;
}

static int has_room(struct pc_ring *ring, uint64_t index, uint64_t cells) {
    uint64_t size = ring->mask + 1;
    if (((index + cells - ring->tail) & INDEX_MASK) <= size) return 1;
    // Pairs with the release in publish(): what the consumer copied out of these cells happened before we write them.
    ring->tail = atomic_load_explicit(&ring->memory->tail, memory_order_acquire) & INDEX_MASK;
    return ((index + cells - ring->tail) & INDEX_MASK) <= size;
}

static void fill(struct pc_ring *ring, uint64_t index, uint32_t length, const struct iovec *parts, int count) {
    struct cell *cell = cell_at(ring, index);
    memcpy(cell->data, &length, 4);
    size_t used = 4;
    for (int i = 0; i < count; i++) {
        const unsigned char *from = parts[i].iov_base;
        size_t left = parts[i].iov_len;
        while (left > 0) {
            if (used == PC_RING_CELL_DATA) {
                cell = cell_at(ring, ++index);
                used = 0;
            }
            size_t chunk = PC_RING_CELL_DATA - used < left ? PC_RING_CELL_DATA - used : left;
            memcpy(cell->data + used, from, chunk);
            used += chunk;
            from += chunk;
            left -= chunk;
        }
    }
}

static void commit(struct pc_ring *ring, uint64_t index, uint64_t number) {
    // Pairs with the acquire in pc_ring_read: the contents are there before the mark.
    atomic_store_explicit(&cell_at(ring, index)->mark, mark_of(index, number), memory_order_release);
}

static size_t total(const struct iovec *parts, int count) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    return length;
}

static int drop(struct pc_ring *ring) {
    atomic_fetch_add_explicit(&ring->memory->dropped, 1, memory_order_relaxed);
    return -ENOBUFS;
}

static int reserve(struct pc_ring *ring, uint64_t cells, uint64_t *index, uint64_t *number) {
    uint64_t head = atomic_load_explicit(&ring->memory->head, memory_order_relaxed);
    for (;;) {
        *index = head & INDEX_MASK;
        *number = head >> INDEX_BITS;
        if (!has_room(ring, *index, cells)) {
            // The head we saw may be old enough for a newer tail to have passed it: look again before giving up.
            uint64_t again = atomic_load_explicit(&ring->memory->head, memory_order_relaxed);
            if (again == head) return drop(ring);
            head = again;
            continue;
        }
        uint64_t next = ((*index + cells) & INDEX_MASK) | ((*number + 1) & NUMBER_MASK) << INDEX_BITS;
        // Relaxed is enough: the order that matters is room (acquire above) and commit (release below).
        if (atomic_compare_exchange_weak_explicit(&ring->memory->head, &head, next, memory_order_relaxed,
                                                  memory_order_relaxed))
            return 0;
    }
}

int pc_ring_write(struct pc_ring *ring, const struct iovec *parts, int count) {
    size_t length = total(parts, count);
    if (length > PC_RING_RECORD_MAX) return -EMSGSIZE;
    uint64_t index, number;
    int result = reserve(ring, cells_of(length), &index, &number);
    if (result < 0) return result;
    fill(ring, index, (uint32_t)length, parts, count);
    commit(ring, index, number);
    return 0;
}

int pc_ring_write_single(struct pc_ring *ring, const struct iovec *parts, int count) {
    size_t length = total(parts, count);
    if (length > PC_RING_RECORD_MAX) return -EMSGSIZE;
    uint64_t cells = cells_of(length);
    uint64_t head = atomic_load_explicit(&ring->memory->head, memory_order_relaxed);
    uint64_t index = head & INDEX_MASK, number = head >> INDEX_BITS;
    if (!has_room(ring, index, cells)) return drop(ring);
    uint64_t next = ((index + cells) & INDEX_MASK) | ((number + 1) & NUMBER_MASK) << INDEX_BITS;
    atomic_store_explicit(&ring->memory->head, next, memory_order_relaxed);
    fill(ring, index, (uint32_t)length, parts, count);
    commit(ring, index, number);
    return 0;
}

int pc_ring_reserve_only(struct pc_ring *ring, size_t length) {
    uint64_t index, number;
    if (length > PC_RING_RECORD_MAX) return -EMSGSIZE;
    return reserve(ring, cells_of(length), &index, &number);
}

int pc_ring_needs_wake(struct pc_ring *ring) {
    // Pairs with the fence in pc_ring_prepare_sleep: either we see `sleeping`, or the consumer sees our record.
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->memory->sleeping, memory_order_relaxed) == 0) return 0;
    return atomic_exchange_explicit(&ring->memory->sleeping, 0, memory_order_relaxed) == 1;
}

static void publish(struct pc_ring *ring) {
    // Pairs with the acquire in has_room.
    atomic_store_explicit(&ring->memory->tail, ring->tail, memory_order_release);
    ring->published = ring->tail;
}

static void count_lost(struct pc_ring *ring, uint64_t number) {
    if (ring->number == UINT64_MAX) ring->number = number;
    ring->lost += (number - ring->number) & NUMBER_MASK;
    ring->number = (number + 1) & NUMBER_MASK;
}

/// Whether the cell at the index begins a committed record; its number then.
static int committed(struct pc_ring *ring, uint64_t index, uint64_t *number) {
    uint64_t mark = atomic_load_explicit(&cell_at(ring, index)->mark, memory_order_acquire);
    *number = mark >> INDEX_BITS;
    return (mark & INDEX_MASK) == ((index + 1) & INDEX_MASK);
}

ptrdiff_t pc_ring_read(struct pc_ring *ring, void *buffer, size_t capacity) {
    uint64_t number;
    while (!committed(ring, ring->tail, &number)) {
        // Not committed. Before the mark of abandonment nobody will ever commit it: look for the next one that is.
        uint64_t left = (ring->abandoned_before - ring->tail) & INDEX_MASK;
        if (left == 0 || left > ring->mask + 1) {
            if (ring->published != ring->tail) publish(ring);
            return 0;
        }
        ring->tail = (ring->tail + 1) & INDEX_MASK;
        if (ring->tail == ring->abandoned_before) publish(ring);
    }
    uint32_t length;
    struct cell *cell = cell_at(ring, ring->tail);
    memcpy(&length, cell->data, 4);
    count_lost(ring, number);
    if (length > PC_RING_RECORD_MAX) {
        // Not what a producer of ours writes: one cell is given up, the search goes on behind it.
        ring->lost++;
        ring->tail = (ring->tail + 1) & INDEX_MASK;
        publish(ring);
        return -EMSGSIZE;
    }
    uint64_t cells = cells_of(length);
    ptrdiff_t result = -EMSGSIZE;
    if (length <= capacity) {
        unsigned char *to = buffer;
        size_t left = length, used = 4;
        uint64_t index = ring->tail;
        while (left > 0) {
            if (used == PC_RING_CELL_DATA) {
                cell = cell_at(ring, ++index);
                used = 0;
            }
            size_t chunk = PC_RING_CELL_DATA - used < left ? PC_RING_CELL_DATA - used : left;
            memcpy(to, cell->data + used, chunk);
            to += chunk;
            used += chunk;
            left -= chunk;
        }
        result = (ptrdiff_t)length;
    } else {
        ring->lost++;
    }
    ring->tail = (ring->tail + cells) & INDEX_MASK;
    // Producers look at the tail only when they run out of room: it is published in steps.
    if (((ring->tail - ring->published) & INDEX_MASK) > (ring->mask + 1) / 8) publish(ring);
    return result;
}

int pc_ring_prepare_sleep(struct pc_ring *ring) {
    if (ring->published != ring->tail) publish(ring);
    atomic_store_explicit(&ring->memory->sleeping, 1, memory_order_relaxed);
    // Pairs with the fence in pc_ring_needs_wake.
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t number;
    if (!committed(ring, ring->tail, &number)) return 1;
    atomic_store_explicit(&ring->memory->sleeping, 0, memory_order_relaxed);
    return 0;
}

void pc_ring_abandon(struct pc_ring *ring) {
    ring->abandoned_before = atomic_load_explicit(&ring->memory->head, memory_order_acquire) & INDEX_MASK;
    if (ring->number == UINT64_MAX) ring->number = 0;
}

uint64_t pc_ring_take_lost(struct pc_ring *ring) {
    uint64_t dropped = atomic_load_explicit(&ring->memory->dropped, memory_order_relaxed);
    uint64_t result = ring->lost + (dropped - ring->drops_taken);
    ring->drops_taken = dropped;
    ring->lost = 0;
    return result;
}
