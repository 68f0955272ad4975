// Bounded lock-free event ring over memory shared by several processes: many producers, one consumer, variable-length
// records of 1 to PC_RING_MAX_RECORD bytes.
//
// DESIGN
// The region holds a fixed number of lanes. A lane is a byte ring with one writer: a producer (one thread of one
// process) claims a lane once, writes it alone, and the consumer visits the lanes in turn. Nothing a producer does on
// the way of a record touches a word another producer writes, so producers neither wait, nor spin, nor retry because of
// each other, wherever the scheduler stops them. Order is kept per producer; between producers the records' clocks tell.
//
// Publication is in band. A record starts with a 64-bit word: 0 = nothing here yet, otherwise length and running number.
// The producer fills the record, zeroes the word where the next record will begin, then stores the word with release.
// A record never wraps: one that starts before the lane's end may run into a spill area behind it, the next one starts
// at offset 0.
//
// A PRODUCER THAT DIES between reserve and commit leaves a zero word at its lane's end. The consumer sees an empty lane
// and goes on with the others: there is no reservation to skip, hence no guess about who is dead, and a slow producer
// that commits late commits into a lane that is still its own. A lane changes hands only by pc_ring_abandon, which wants
// proof of the owner's death (a pidfd that polls readable, or the caller's word after waitpid). The record that was
// begun is then counted as lost; complete records in the lane stay and are read. Recovery is a pure function of the dead
// lane, so that a recoverer may die as well.
//
// LOSS. A record that finds no room is dropped and counted. attempts == commits + dropped holds for every lane at rest;
// the consumer meets the loss in the stream (PC_RING_LOST), so records + lost == attempts once all is read.
//
// TRUST. Both sides treat the region as hostile. Layout numbers are validated at attach and kept in private memory;
// positions, too: shared copies are only for the other side. The producer checks the consumer's head (nonsense means
// "full"), the consumer checks each word's length and number and copies a record out before anybody looks into it.
// Each call does bounded work, and a region that no longer changes runs dry in at most two laps, because numbers must rise.
// No pointer is stored in the region.
//
// WAKE-UP. The consumer announces that it is going to sleep (pc_ring_prepare_wait); a producer asks pc_ring_needs_wake
// after a commit and makes its system call (eventfd, owned by the caller) only on 1.
//
// Results: 0 or positive = success, negative = -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PC_RING_MAX_RECORD 8192u
#define PC_RING_MAX_LANES 128u
/// Smallest and largest bytes of one lane (a power of two).
#define PC_RING_MIN_LANE (16u << 10)
#define PC_RING_MAX_LANE (1u << 30)

struct pc_ring_shared;
struct pc_ring_lane;

/// A validated view of a region; private to the process, freely copied.
struct pc_ring {
    struct pc_ring_shared *shared;
    uint64_t lane_bytes;
    uint32_t lanes;
};

/// One claimed lane; private to one thread.
struct pc_ring_producer {
    struct pc_ring_shared *shared;
    struct pc_ring_lane *lane;
    unsigned char *data;
    uint64_t mask;
    uint64_t tail;      ///< position of the next record
    uint64_t next;      ///< end of the reserved record; == tail when nothing is reserved
    uint64_t head_seen; ///< the last valid position read from the consumer
    uint64_t commits;
    uint64_t dropped;
    uint64_t dropped_told; ///< `dropped` when the last record was committed
    uint32_t reserved;  ///< length of the reserved record
    uint32_t index;
    uint64_t owner;
};

/// What the consumer knows of one lane.
struct pc_ring_lane_view {
    struct pc_ring_lane *lane;
    unsigned char *data;
    uint64_t head;
    uint64_t published; ///< `head` as the producer may know it
    uint64_t seen;      ///< running number of the last record taken
    uint64_t told;      ///< dropped records already reported
    uint32_t broken;    ///< no way forward is known: waiting for a plausible tail
    uint32_t resynced;  ///< the next record's number is taken as it is
};

/// The one consumer; private memory.
struct pc_ring_consumer {
    struct pc_ring_shared *shared;
    uint64_t mask;
    uint32_t lanes;
    uint32_t current;
    uint32_t burst;
    uint32_t busy; ///< records came since the last EMPTY
    uint64_t records, lost, corrupt; ///< totals returned since pc_ring_consumer_open
    struct pc_ring_lane_view view[PC_RING_MAX_LANES];
};

enum pc_ring_kind {
    PC_RING_EMPTY = 0,
    PC_RING_RECORD = 1,
    PC_RING_LOST = 2,   ///< `count` records were lost at this place of the lane
    PC_RING_CORRUPT = 3 ///< a word made no sense; what could be jumped over was, and is reported as lost if countable
};

struct pc_ring_item {
    uint64_t count;  ///< records lost
    uint32_t length; ///< bytes copied
    uint32_t lane;
};

/// Sums over all lanes. A snapshot: exact only while no producer is at work.
struct pc_ring_stats {
    uint64_t attempts; ///< records begun: committed, dropped or under way
    uint64_t commits;
    uint64_t dropped;
    uint32_t lanes;
    uint32_t claimed;
};

/// Bytes of a region with `lanes` lanes (1...PC_RING_MAX_LANES) of `lane_bytes` (a power of two); 0 if out of range.
size_t pc_ring_size(uint32_t lanes, uint64_t lane_bytes);

/// Formats `mem` (128-byte aligned, as mmap gives it; nobody else uses it yet). -EINVAL if the numbers do not fit `size`.
int pc_ring_init(struct pc_ring *ring, void *mem, size_t size, uint32_t lanes, uint64_t lane_bytes);

/// Validates a formatted region. -EINVAL bad arguments, -EPROTO wrong magic or version, -EBADMSG impossible layout.
int pc_ring_attach(struct pc_ring *ring, void *mem, size_t size);

/// Claims a free lane. `owner` (not 0) names the calling process for pc_ring_abandon and must not come back within the
/// region's life: a pid alone is not enough, pid and start time are. -EUSERS if every lane is taken.
int pc_ring_claim(struct pc_ring *ring, uint64_t owner, struct pc_ring_producer *producer);

/// Gives the lane back; what is in it will still be read. A reservation that was not committed counts as lost.
void pc_ring_release(struct pc_ring_producer *producer);

/// Frees all lanes of a dead owner; returns how many. `self` is the caller's own owner tag (it holds each lane while
/// recovering it). `pidfd` must refer to the dead process: -EBUSY if it is still alive, when all its threads are gone
/// it polls readable (pidfd_open(2), Linux 5.3). -1 = the caller has waited for the process itself.
int pc_ring_abandon(struct pc_ring *ring, uint64_t dead, uint64_t self, int pidfd);

/// Reserves `length` contiguous bytes at `*out`. Nothing becomes visible before commit; a second reserve replaces the
/// first. -EMSGSIZE, or -EAGAIN when full: then the caller retries later or calls pc_ring_drop.
int pc_ring_reserve(struct pc_ring_producer *producer, size_t length, void **out);

/// Publishes the reserved record.
void pc_ring_commit(struct pc_ring_producer *producer);

/// Counts one record as lost (in place of a reservation that is given up, or that was refused).
void pc_ring_drop(struct pc_ring_producer *producer);

struct pc_ring_part {
    const void *base;
    size_t length;
};

/// Writes one record made of `count` parts: 0, or -EAGAIN after counting it as dropped; -EMSGSIZE counts it, too.
int pc_ring_write(struct pc_ring_producer *producer, const struct pc_ring_part *parts, size_t count);

/// 1 if the caller must wake the consumer now (at most one producer gets the 1). To be asked after commit or drop.
int pc_ring_needs_wake(struct pc_ring_producer *producer);

/// Becomes the consumer. Goes on where the last one published its progress: records taken shortly before a crash of the
/// consumer may be delivered again (at least once), none is skipped.
void pc_ring_consumer_open(struct pc_ring *ring, struct pc_ring_consumer *consumer);

/// Takes the next item: a `pc_ring_kind`. Records are copied to `buffer`; -EMSGSIZE leaves a record that does not fit
/// where it is (`item->length` tells the need): a buffer of PC_RING_MAX_RECORD always does.
int pc_ring_pop(struct pc_ring_consumer *consumer, void *buffer, size_t size, struct pc_ring_item *item);

/// Publishes the progress now. pc_ring_pop does it by itself when a lane runs empty and several times a lap.
void pc_ring_publish(struct pc_ring_consumer *consumer);

/// Announces sleep: 0 = nothing to read, sleep on the wake descriptor; 1 = do not sleep, there is something.
int pc_ring_prepare_wait(struct pc_ring_consumer *consumer);

/// Withdraws the announcement, after the sleep.
void pc_ring_finish_wait(struct pc_ring_consumer *consumer);

void pc_ring_get_stats(const struct pc_ring *ring, struct pc_ring_stats *stats);
