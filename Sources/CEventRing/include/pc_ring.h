// A bounded ring of records in shared memory: many producers, one consumer, no locks.
//
// Layout. One header, then a power of two of 128-byte cells. A record takes one cell for each 120 bytes of its length prefix and
// data; its cells follow each other, wrapping at the end. The first eight bytes of a cell are its mark; the rest is contents.
//
// Producing. A producer reserves cells by moving `head` (compare-and-swap), copies its record in, and commits by storing the
// mark of the first cell: the cell's absolute index plus one, and the record's number. A mark is unique, and no contents ever lie
// where a mark is read, so a committed record can't be imitated by data. A producer never waits: when the ring is full it
// counts the record as dropped; another producer that was stopped half-way does not concern it.
//
// Consuming. The consumer reads at `tail`. A cell whose mark is not the expected one is not committed yet. If its producer died
// there, the consumer is told so (`pc_ring_abandon`), and looks for the next committed mark; the record numbers tell exactly how
// many records were lost in between. Everything is copied out and checked after the copy: memory that a producer can write is
// not trusted.
//
// Counting. produced = consumed + abandoned + dropped, always; `pc_ring_take_lost` hands the last two out.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __clang__
#pragma clang assume_nonnull begin
#define PC_NULLABLE _Nullable
#else
#define PC_NULLABLE
#endif

enum {
    PC_RING_CELL = 128,
    PC_RING_CELL_DATA = 120,
    PC_RING_RECORD_MAX = 8192,
};

/// The shared part. Opaque; only offsets live in it.
struct pc_ring_memory;

/// A process's own view of a ring. Not shared between threads, except that a producer's may be copied.
struct pc_ring {
    struct pc_ring_memory *PC_NULLABLE memory;
    uint64_t mask;
    /// Producer: last known tail. Consumer: own tail, not yet published.
    uint64_t tail;
    /// Consumer: last published tail.
    uint64_t published;
    /// Consumer: number of the next record.
    uint64_t number;
    /// Consumer: cells before this index may be skipped when they are not committed.
    uint64_t abandoned_before;
    /// Consumer: records abandoned and not yet taken; drops already taken.
    uint64_t lost, drops_taken;
};

/// Bytes of memory for a ring of `cells` cells; 0 unless `cells` is a power of two from 128 to 2^24.
size_t pc_ring_size(uint64_t cells);
/// Makes a ring of zeroed memory. -EINVAL: size.
int pc_ring_init(void *memory, size_t size, uint64_t cells);
/// Attaches to a ring that `pc_ring_init` made. -EINVAL: the memory does not hold one of that size.
int pc_ring_attach(struct pc_ring *ring, void *memory, size_t size);

/// Writes one record made of parts. 0, -ENOBUFS when the ring is full (counted), -EMSGSIZE beyond PC_RING_RECORD_MAX.
int pc_ring_write(struct pc_ring *ring, const struct iovec *parts, int count);
/// The same for the only producer a ring has: no compare-and-swap.
int pc_ring_write_single(struct pc_ring *ring, const struct iovec *parts, int count);
/// Reserves the cells of a record and commits nothing: what a producer that dies half-way leaves behind. For tests.
int pc_ring_reserve_only(struct pc_ring *ring, size_t length);
/// After a write: 1 when the consumer sleeps and has to be woken, once.
int pc_ring_needs_wake(struct pc_ring *ring);

/// Copies the next record out. Its length; 0 when there is none; -EMSGSIZE when it does not fit (it is skipped and counted).
ptrdiff_t pc_ring_read(struct pc_ring *ring, void *buffer, size_t capacity);
/// Consumer: says that it will sleep. 0 when a record is there already and it must not.
int pc_ring_prepare_sleep(struct pc_ring *ring);
/// Consumer: everything reserved until now by producers that are known to be dead is not waited for any more.
void pc_ring_abandon(struct pc_ring *ring);
/// Consumer: how many records were lost since the last call, dropped or abandoned.
uint64_t pc_ring_take_lost(struct pc_ring *ring);

#ifdef __clang__
#pragma clang assume_nonnull end
#endif
