// Lanes change hands: claim, release, recovery from an owner's death.
#include "pc_ring_layout.h"

#include <errno.h>
#include <poll.h>

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
