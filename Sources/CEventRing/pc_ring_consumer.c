// The consumer's way of a record.
#include "pc_ring_layout.h"

#include <errno.h>
#include <string.h>

#define BURST 64u // records of one lane before the next lane has its turn

// A consumer that has caught up polls the very line its producer writes, and each takes the line from the other for
// every record: 3 to 10 times slower than apart. So a consumer that just ran out of records keeps off the lines for
// about a microsecond, once, before it says so.
#define BACK_OFF 64

static inline void relax_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static void publish(struct pc_ring_lane_view *view) {
    atomic_store_explicit(&view->lane->seen, view->seen, memory_order_relaxed);
    atomic_store_explicit(&view->lane->told, view->told, memory_order_relaxed);
    // Release: pairs with the acquire loads of `head` in pc_ring_reserve and recover(): our copies come before it.
    atomic_store_explicit(&view->lane->head, view->head, memory_order_release);
    view->published = view->head;
}

void pc_ring_consumer_open(struct pc_ring *ring, struct pc_ring_consumer *c) {
    memset(c, 0, sizeof *c);
    c->shared = ring->shared;
    c->mask = ring->lane_bytes - 1;
    c->lanes = ring->lanes;
    for (uint32_t i = 0; i < ring->lanes; i++) {
        struct pc_ring_lane *lane = &ring->shared->lane[i];
        struct pc_ring_lane_view *view = &c->view[i];
        view->lane = lane;
        view->data = lane_data(ring, i);
        // Acquire: pairs with the release store of `head` in publish() of the consumer before us.
        view->head = atomic_load_explicit(&lane->head, memory_order_acquire) & ~(uint64_t)(WORD - 1);
        view->seen = atomic_load_explicit(&lane->seen, memory_order_relaxed);
        view->told = atomic_load_explicit(&lane->told, memory_order_relaxed);
        view->published = view->head;
        // Acquire: pairs with the release store of `tail` in pc_ring_commit.
        uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_acquire) & ~(uint64_t)(WORD - 1);
        if (span_valid(tail, view->head, c->mask)) continue;
        if (span_valid(view->head, tail, c->mask)) continue; // a commit whose tail store is still on its way
        c->corrupt++;
        view->head = tail;
        view->resynced = 1;
        publish(view);
    }
    atomic_store_explicit(&c->shared->waiting, 0, memory_order_relaxed);
}

static inline uint32_t lanes_to_visit(struct pc_ring_consumer *c) {
    // Acquire: pairs with the release exchange of `high` in pc_ring_claim.
    uint32_t high = atomic_load_explicit(&c->shared->high, memory_order_acquire);
    return high < c->lanes ? high : c->lanes;
}

// A plausible tail ahead of us, or our own head if there is none.
static uint64_t plausible_tail(struct pc_ring_consumer *c, struct pc_ring_lane_view *view) {
    // Acquire: pairs with the release store of `tail` in pc_ring_commit.
    uint64_t tail = atomic_load_explicit(&view->lane->tail, memory_order_acquire);
    return span_valid(tail, view->head, c->mask) ? tail : view->head;
}

static void resynchronise(struct pc_ring_consumer *c, struct pc_ring_lane_view *view) {
    uint64_t tail = plausible_tail(c, view);
    view->broken = tail == view->head;
    if (view->broken) return;
    view->head = tail;
    view->resynced = 1;
    publish(view);
}

// Losses of the lane that were not reported yet. A counter that runs backwards reports nothing.
static uint64_t unreported(struct pc_ring_lane_view *view) {
    // Acquire: pairs with the release stores of `dropped` in pc_ring_drop and recover().
    uint64_t dropped = atomic_load_explicit(&view->lane->dropped, memory_order_acquire);
    return (int64_t)(dropped - view->told) > 0 ? dropped - view->told : 0;
}

static inline void next_lane(struct pc_ring_consumer *c, uint32_t visit) {
    c->burst = 0;
    c->current = c->current + 1 < visit ? c->current + 1 : 0;
}

static int lost_item(struct pc_ring_consumer *c, struct pc_ring_item *item, uint64_t count) {
    item->count = count;
    item->length = 0;
    item->lane = c->current;
    c->lost += count;
    return PC_RING_LOST;
}

static int corrupt_item(struct pc_ring_consumer *c, struct pc_ring_item *item) {
    item->count = 0;
    item->length = 0;
    item->lane = c->current;
    c->corrupt++;
    return PC_RING_CORRUPT;
}

int pc_ring_pop(struct pc_ring_consumer *c, void *buffer, size_t size, struct pc_ring_item *item) {
    uint32_t visit = lanes_to_visit(c);
    if (c->current >= visit) c->current = 0;
    if (c->burst >= BURST) next_lane(c, visit); // no lane keeps the consumer from the others
    for (uint32_t visited = 0; visited < visit; visited++, next_lane(c, visit)) {
        struct pc_ring_lane_view *view = &c->view[c->current];
        if (view->broken) resynchronise(c, view);
        if (view->broken) continue;
        // Acquire: pairs with the release store of the word in pc_ring_commit. Loaded once: what is checked is what is used.
        uint64_t word = atomic_load_explicit(word_at(view->data, c->mask, view->head), memory_order_acquire);
        if (word == 0) {
            if (view->head != view->published) publish(view);
            uint64_t lost = unreported(view);
            if (lost == 0) continue;
            // Read once more: a record stored before the drop belongs before it, and is for the next call.
            if (atomic_load_explicit(word_at(view->data, c->mask, view->head), memory_order_relaxed) != 0) continue;
            view->told += lost;
            publish(view);
            return lost_item(c, item, lost);
        }
        if (!word_valid(word)) {
            resynchronise(c, view);
            return corrupt_item(c, item);
        }
        uint32_t number = (uint32_t)(word >> 32), length = (uint32_t)word & LENGTH_MASK;
        uint32_t gap = number - (uint32_t)(view->seen + 1);
        if (gap != 0) {
            if (!view->resynced) {
                resynchronise(c, view);
                return corrupt_item(c, item);
            }
            // What was jumped over can be counted if the number is believable: no lap holds more records.
            view->seen += gap;
            view->resynced = 0;
            if (gap <= (c->mask + 1) / (2 * WORD)) return lost_item(c, item, gap);
        }
        view->resynced = 0;
        if ((uint32_t)word & FLAG_LOSS) {
            uint64_t lost = unreported(view);
            if (lost != 0) {
                view->told += lost;
                return lost_item(c, item, lost);
            }
        }
        item->length = length;
        item->lane = c->current;
        item->count = 0;
        if (length > size) return -EMSGSIZE;
        memcpy(buffer, view->data + (view->head & c->mask) + WORD, length);
        view->head = position_after(view->head, c->mask, length);
        view->seen++;
        if (view->head - view->published > c->mask / 8) publish(view);
        c->burst++;
        c->busy = 1;
        c->records++;
        return PC_RING_RECORD;
    }
    if (c->busy) {
        c->busy = 0;
        for (int i = 0; i < BACK_OFF; i++) relax_cpu();
    }
    return PC_RING_EMPTY;
}

void pc_ring_publish(struct pc_ring_consumer *c) {
    for (uint32_t i = 0; i < c->lanes; i++)
        if (c->view[i].head != c->view[i].published) publish(&c->view[i]);
}

int pc_ring_prepare_wait(struct pc_ring_consumer *c) {
    pc_ring_publish(c);
    atomic_store_explicit(&c->shared->waiting, 1, memory_order_relaxed);
    // Sequentially consistent: pairs with the fence in pc_ring_needs_wake.
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t visit = lanes_to_visit(c);
    bool something = false;
    for (uint32_t i = 0; i < visit && !something; i++) {
        struct pc_ring_lane_view *view = &c->view[i];
        if (view->broken) {
            something = plausible_tail(c, view) != view->head;
        } else {
            uint64_t word = atomic_load_explicit(word_at(view->data, c->mask, view->head), memory_order_relaxed);
            something = word != 0 || unreported(view) != 0;
        }
    }
    if (something) pc_ring_finish_wait(c);
    return something;
}

void pc_ring_finish_wait(struct pc_ring_consumer *c) {
    atomic_store_explicit(&c->shared->waiting, 0, memory_order_relaxed);
}
