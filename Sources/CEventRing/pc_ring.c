#include "pc_ring.h"
#include "pc_event.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define MAGIC 0x31474e4952435054u // "TPCRING1"
#define VERSION 1u
#define WORD sizeof(uint64_t)
#define LENGTH_MASK 0x3fffu
#define FLAG_USED 0x80000000u // keeps the word of any record from being 0
#define FLAG_LOSS 0x40000000u // drops happened since the record before
#define SPILL ((PC_RING_MAX_RECORD + WORD + 127) & ~(size_t)127)
#define BURST 64u // records of one lane before the next lane has its turn

// A consumer that has caught up polls the very line its producer writes, and each takes the line from the other for
// every record: 3 to 10 times slower than apart. So a consumer that just ran out of records keeps off the lines for
// about a microsecond, once, before it says so; and a producer asks for the lines of its next records early.
#define BACK_OFF 64
#define AHEAD 4

static inline void relax_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

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

static bool layout_valid(uint32_t lanes, uint64_t lane_bytes) {
    return lanes >= 1 && lanes <= PC_RING_MAX_LANES && lane_bytes >= PC_RING_MIN_LANE &&
           lane_bytes <= PC_RING_MAX_LANE && (lane_bytes & (lane_bytes - 1)) == 0;
}

size_t pc_ring_size(uint32_t lanes, uint64_t lane_bytes) {
    if (!layout_valid(lanes, lane_bytes)) return 0;
    return sizeof(struct pc_ring_shared) + lanes * (sizeof(struct pc_ring_lane) + lane_bytes + SPILL);
}

static unsigned char *lane_data(const struct pc_ring *ring, uint32_t index) {
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

// MARK: producer

// Puts a lane at rest, held by the caller under its own tag, into `producer`. A pure function of what the last owner
// left: doing it twice, or doing it again after dying in the middle, gives the same. -EBADMSG: no sane positions.
//
// What the last owner left is a prefix, in program order, of the stores of reserve, commit and drop: it died at an
// instruction boundary, and the proof of death (or the release store of `owner`) came after. The signal fences in those
// functions keep the compiler from changing that order.
static int recover(struct pc_ring *ring, uint32_t index, struct pc_ring_producer *producer) {
    struct pc_ring_lane *lane = &ring->shared->lane[index];
    unsigned char *data = lane_data(ring, index);
    uint64_t mask = ring->lane_bytes - 1;
    uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed);
    uint64_t commits = atomic_load_explicit(&lane->commits, memory_order_relaxed);
    // Acquire: pairs with the release store of `head` in publish(): before we write there, the consumer's copy is done.
    uint64_t head = atomic_load_explicit(&lane->head, memory_order_acquire);
    if (tail & (WORD - 1)) return -EBADMSG;
    if (!span_valid(tail, head, mask)) head = tail - (mask + 1); // "full" until the consumer says something sensible
    uint64_t word = atomic_load_explicit(word_at(data, mask, tail), memory_order_relaxed);
    if (word != 0) { // the word was stored, the counters behind it perhaps not
        if (!word_valid(word)) return -EBADMSG;
        if ((uint32_t)(word >> 32) != (uint32_t)commits) commits++;
        if ((uint32_t)(word >> 32) != (uint32_t)commits) return -EBADMSG;
        atomic_store_explicit(&lane->commits, commits, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        tail = position_after(tail, mask, word & LENGTH_MASK);
        atomic_store_explicit(&lane->tail, tail, memory_order_release);
    }
    uint64_t attempts = atomic_load_explicit(&lane->attempts, memory_order_relaxed);
    uint64_t dropped = attempts - commits;
    // Release: pairs with the acquire load of `dropped` in pc_ring_pop.
    atomic_store_explicit(&lane->dropped, dropped, memory_order_release);
    *producer = (struct pc_ring_producer){
        .shared = ring->shared, .lane = lane, .data = data, .mask = mask, .tail = tail, .next = tail,
        .head_seen = head, .commits = commits, .dropped = dropped, .index = index,
    };
    return 0;
}

int pc_ring_claim(struct pc_ring *ring, uint64_t owner, struct pc_ring_producer *producer) {
    if (!ring || !producer || owner == 0) return -EINVAL;
    for (uint32_t i = 0; i < ring->lanes; i++) {
        uint64_t expected = 0;
        // Acquire: pairs with the release store of 0 in pc_ring_release; the last owner's words are all there.
        if (!atomic_compare_exchange_strong_explicit(&ring->shared->lane[i].owner, &expected, owner,
                                                     memory_order_acq_rel, memory_order_relaxed))
            continue;
        if (recover(ring, i, producer) != 0) continue; // a lane with nonsense in it stays out of use
        producer->owner = owner;
        uint32_t high = atomic_load_explicit(&ring->shared->high, memory_order_relaxed);
        while (high < i + 1 &&
               // Release: pairs with the acquire load of `high` in lanes_to_visit.
               !atomic_compare_exchange_weak_explicit(&ring->shared->high, &high, i + 1, memory_order_release,
                                                      memory_order_relaxed)) {
        }
        return 0;
    }
    return -EUSERS;
}

void pc_ring_release(struct pc_ring_producer *producer) {
    if (!producer->lane) return;
    // Not after somebody vouched wrongly for our death: the lane may be another's.
    if (atomic_load_explicit(&producer->lane->owner, memory_order_relaxed) == producer->owner) {
        if (producer->next != producer->tail) pc_ring_drop(producer);
        // Release: pairs with the acquire of the exchange in pc_ring_claim.
        atomic_store_explicit(&producer->lane->owner, 0, memory_order_release);
    }
    *producer = (struct pc_ring_producer){0};
}

int pc_ring_abandon(struct pc_ring *ring, uint64_t dead, uint64_t self, int pidfd) {
    if (!ring || dead == 0 || self == 0 || dead == self) return -EINVAL;
    if (pidfd >= 0) {
        struct pollfd fd = {.fd = pidfd, .events = POLLIN};
        int n;
        do n = poll(&fd, 1, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0) return -errno;
        if (n == 0) return -EBUSY;
        if (!(fd.revents & POLLIN)) return -EINVAL;
    }
    int freed = 0;
    for (uint32_t i = 0; i < ring->lanes; i++) {
        uint64_t expected = dead;
        // Acquire: pairs with the release store of `owner` by whoever held it; the kernel orders the dead one's stores
        // before the news of its death.
        if (!atomic_compare_exchange_strong_explicit(&ring->shared->lane[i].owner, &expected, self,
                                                     memory_order_acq_rel, memory_order_relaxed))
            continue;
        struct pc_ring_producer lane;
        if (recover(ring, i, &lane) != 0) continue;
        lane.owner = self;
        pc_ring_release(&lane);
        freed++;
    }
    return freed;
}

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

// MARK: consumer

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
