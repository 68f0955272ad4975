// The producer's way of a record.
#include "pc_ring_layout.h"

#include <errno.h>
#include <string.h>

// A producer asks for the lines of its next records early: the consumer may still hold them (see BACK_OFF in
// pc_ring_consumer.c).
#define AHEAD 4

static inline bool has_room(const struct pc_ring_producer *p, uint64_t next) {
    // One word more than the record: commit zeroes the place of the next one.
    return next + WORD - p->head_seen <= p->mask + 1;
}

int pc_ring_reserve(struct pc_ring_producer *p, size_t length, void **out) {
    if (length == 0 || length > PC_RING_MAX_RECORD) return -EMSGSIZE;
    uint64_t next = position_after(p->tail, p->mask, length);
    if (!has_room(p, next)) {
        // Acquire: pairs with the release store of `head` in publish(); the consumer is done with what we overwrite.
        uint64_t head = atomic_load_explicit(&p->lane->head, memory_order_acquire);
        if (!span_valid(p->tail, head, p->mask)) return -EAGAIN; // a lying consumer only loses records
        p->head_seen = head;
        if (!has_room(p, next)) return -EAGAIN;
    }
    p->next = next;
    p->reserved = (uint32_t)length;
    // Only recovery reads it, after our death; the fence keeps it before the record's word.
    atomic_store_explicit(&p->lane->attempts, p->commits + p->dropped + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    for (int line = 1; line <= AHEAD; line++) __builtin_prefetch(p->data + (next & p->mask) + line * 64, 1);
    *out = p->data + (p->tail & p->mask) + WORD;
    return 0;
}

void pc_ring_commit(struct pc_ring_producer *p) {
    if (p->next == p->tail) return;
    atomic_store_explicit(word_at(p->data, p->mask, p->next), 0, memory_order_relaxed);
    uint64_t number = ++p->commits;
    uint32_t low = FLAG_USED | p->reserved;
    if (p->dropped != p->dropped_told) low |= FLAG_LOSS;
    // Release: pairs with the acquire load of the word in pc_ring_pop, which then sees the bytes, the zero behind them
    // and `dropped`.
    atomic_store_explicit(word_at(p->data, p->mask, p->tail), number << 32 | low, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&p->lane->commits, number, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    p->dropped_told = p->dropped;
    p->tail = p->next;
    // Release: pairs with the acquire load of `tail` in resynchronise().
    atomic_store_explicit(&p->lane->tail, p->tail, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

void pc_ring_drop(struct pc_ring_producer *p) {
    p->next = p->tail;
    p->dropped++;
    atomic_store_explicit(&p->lane->attempts, p->commits + p->dropped, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    // Release: pairs with the acquire load of `dropped` in pc_ring_pop.
    atomic_store_explicit(&p->lane->dropped, p->dropped, memory_order_release);
}

int pc_ring_write(struct pc_ring_producer *p, const struct pc_ring_part *parts, size_t count) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length > PC_RING_MAX_RECORD - length) {
            pc_ring_drop(p);
            return -EMSGSIZE;
        }
        length += parts[i].length;
    }
    void *out;
    int result = pc_ring_reserve(p, length, &out);
    if (result != 0) {
        pc_ring_drop(p);
        return result;
    }
    unsigned char *to = out;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length) memcpy(to, parts[i].base, parts[i].length);
        to += parts[i].length;
    }
    pc_ring_commit(p);
    return 0;
}

int pc_ring_needs_wake(struct pc_ring_producer *p) {
    // Sequentially consistent: pairs with the fence in pc_ring_prepare_wait. Either we see `waiting`, or the consumer
    // sees our record before it sleeps.
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&p->shared->waiting, memory_order_relaxed) == 0) return 0;
    return atomic_exchange_explicit(&p->shared->waiting, 0, memory_order_relaxed) != 0;
}
