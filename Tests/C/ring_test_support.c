#include "ring_test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

void *map_shared(size_t size) {
    int fd = memfd_create("ring", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mem != MAP_FAILED);
    close(fd);
    return mem;
}

void fill(unsigned char *to, uint32_t producer, uint64_t number, uint32_t length) {
    memcpy(to, &(struct head){producer, length, number}, sizeof(struct head));
    memset(to + sizeof(struct head), (int)((number * 31 + producer) & 0xff), length - sizeof(struct head));
}

struct head verify(const unsigned char *bytes, uint32_t length) {
    struct head head;
    CHECK(length >= sizeof head);
    memcpy(&head, bytes, sizeof head);
    CHECK(head.length == length);
    for (uint32_t i = sizeof head; i < length; i++) CHECK(bytes[i] == ((head.number * 31 + head.producer) & 0xff));
    return head;
}

uint32_t random_length(uint64_t *state) {
    uint64_t r = next_random(state);
    if (r % 4096 == 0) return PC_RING_MAX_RECORD;
    return (uint32_t)(sizeof(struct head) + (r >> 16) % (r % 64 == 0 ? 1024 : 96));
}

uint64_t drain(struct pc_ring_consumer *consumer, uint64_t *lost) {
    static unsigned char buffer[PC_RING_MAX_RECORD];
    struct pc_ring_item item;
    uint64_t records = 0;
    for (int kind; (kind = pc_ring_pop(consumer, buffer, sizeof buffer, &item)) != PC_RING_EMPTY;) {
        CHECK(kind == PC_RING_RECORD || kind == PC_RING_LOST);
        if (kind == PC_RING_RECORD) {
            verify(buffer, item.length);
            records++;
        } else {
            *lost += item.count;
        }
    }
    return records;
}

void write_record(struct pc_ring_producer *p, uint32_t producer, uint64_t number, uint32_t length) {
    static unsigned char bytes[PC_RING_MAX_RECORD];
    fill(bytes, producer, number, length);
    int result = pc_ring_write(p, &(struct pc_ring_part){bytes, length}, 1);
    CHECK(result == 0 || result == -EAGAIN);
}
