// Arguments and edges.
#include "ring_test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void test_edges(void) {
    struct pc_ring ring, other;
    size_t size = pc_ring_size(2, PC_RING_MIN_LANE);
    void *mem = map_shared(size);
    CHECK(pc_ring_size(0, PC_RING_MIN_LANE) == 0 && pc_ring_size(PC_RING_MAX_LANES + 1, PC_RING_MIN_LANE) == 0);
    CHECK(pc_ring_size(1, PC_RING_MIN_LANE / 2) == 0 && pc_ring_size(1, PC_RING_MIN_LANE + 8) == 0);
    CHECK(pc_ring_attach(&ring, mem, size) == -EPROTO);
    CHECK(pc_ring_init(&ring, mem, size - 1, 2, PC_RING_MIN_LANE) == -EINVAL);
    CHECK(pc_ring_init(&ring, (char *)mem + 8, size, 2, PC_RING_MIN_LANE) == -EINVAL);
    CHECK(pc_ring_init(&ring, mem, size, 2, PC_RING_MIN_LANE) == 0);
    CHECK(pc_ring_attach(&other, mem, size - 1) == -EBADMSG);
    CHECK(pc_ring_attach(&other, mem, size) == 0 && other.lanes == 2 && other.lane_bytes == PC_RING_MIN_LANE);

    struct pc_ring_producer a, b, c;
    CHECK(pc_ring_claim(&ring, 0, &a) == -EINVAL);
    CHECK(pc_ring_claim(&ring, 1, &a) == 0 && pc_ring_claim(&other, 2, &b) == 0);
    CHECK(pc_ring_claim(&ring, 3, &c) == -EUSERS);

    struct pc_ring_consumer consumer;
    struct pc_ring_item item;
    static unsigned char buffer[PC_RING_MAX_RECORD], big[PC_RING_MAX_RECORD];
    void *room;
    pc_ring_consumer_open(&ring, &consumer);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_EMPTY);
    CHECK(pc_ring_reserve(&a, 0, &room) == -EMSGSIZE);
    CHECK(pc_ring_reserve(&a, PC_RING_MAX_RECORD + 1, &room) == -EMSGSIZE);
    // A reservation replaces the one before and is invisible until it is committed.
    CHECK(pc_ring_reserve(&a, 4000, &room) == 0);
    memset(room, 0xff, 4000);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_EMPTY);
    CHECK(pc_ring_reserve(&a, 5, &room) == 0);
    memcpy(room, "hello", 5);
    pc_ring_commit(&a);
    pc_ring_commit(&a); // nothing reserved: no effect
    CHECK(pc_ring_pop(&consumer, buffer, 4, &item) == -EMSGSIZE && item.length == 5);
    CHECK(pc_ring_pop(&consumer, buffer, 5, &item) == PC_RING_RECORD && memcmp(buffer, "hello", 5) == 0);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_EMPTY);

    // Parts, one of them empty; too long is a counted loss; one record fills half a smallest lane.
    struct pc_ring_part parts[] = {{"ab", 2}, {NULL, 0}, {"c", 1}}, large = {big, sizeof big}, excess[] = {{big, sizeof big}, {"x", 1}};
    CHECK(pc_ring_write(&b, parts, 3) == 0 && pc_ring_write(&b, excess, 2) == -EMSGSIZE);
    CHECK(pc_ring_write(&b, &large, 1) == 0 && pc_ring_write(&b, &large, 1) == -EAGAIN);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_RECORD && item.length == 3 && !memcmp(buffer, "abc", 3));
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_LOST && item.count == 2);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_RECORD && item.length == PC_RING_MAX_RECORD);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_EMPTY);

    // Wake-up: nobody is woken who does not wait; then exactly one producer is told.
    CHECK(pc_ring_needs_wake(&a) == 0);
    CHECK(pc_ring_prepare_wait(&consumer) == 0);
    CHECK(pc_ring_needs_wake(&b) == 1 && pc_ring_needs_wake(&a) == 0);
    CHECK(pc_ring_write(&b, parts, 3) == 0 && pc_ring_prepare_wait(&consumer) == 1 && pc_ring_needs_wake(&b) == 0);

    // A successor of the consumer goes on where the first one stopped; a released lane is claimed again and read in order.
    pc_ring_release(&b);
    CHECK(pc_ring_claim(&ring, 3, &c) == 0 && pc_ring_write(&c, parts, 1) == 0);
    pc_ring_publish(&consumer);
    pc_ring_consumer_open(&ring, &consumer);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_RECORD && item.length == 3);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_RECORD && item.length == 2);
    CHECK(pc_ring_pop(&consumer, buffer, sizeof buffer, &item) == PC_RING_EMPTY);
    CHECK(consumer.corrupt == 0);

    // A live owner is not abandoned.
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self >= 0) {
        CHECK(pc_ring_abandon(&ring, 1, 9, self) == -EBUSY);
        close(self);
    }
    struct pc_ring_stats stats;
    pc_ring_get_stats(&ring, &stats);
    CHECK(stats.claimed == 2 && stats.attempts == stats.commits + stats.dropped && stats.dropped == 2);
    munmap(mem, size);
}
