// A region that somebody else spoils.
#include "ring_test.h"

#include <pthread.h>
#include <string.h>

static uint64_t hostile_value(uint64_t *state) {
    uint64_t r = next_random(state);
    switch (next_random(state) % 6) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return (r % 100) << 32 | 0x80000000u | (r >> 40) % 9000; // a plausible record word
    case 3: return (r % 4096) * 8;
    case 4: return r % 64;
    default: return r;
    }
}

static void corrupt(unsigned char *mem, size_t size, uint64_t *state) {
    uint64_t r = next_random(state);
    // Half of the hits go to the control words, which are few.
    size_t span = r % 2 ? size : size < 4096 ? size : 4096, at = (r >> 8) % (span / 8) * 8;
    uint64_t value = hostile_value(state);
    volatile uint64_t *word = (volatile uint64_t *)(void *)(mem + at);
    *word = value;
}

// Bounded: a region nobody writes runs dry, and then the consumer may sleep.
static void check_runs_dry(struct pc_ring_consumer *consumer, uint32_t lanes, uint64_t lane_bytes) {
    unsigned char *buffer = malloc(PC_RING_MAX_RECORD);
    struct pc_ring_item item;
    uint64_t limit = 4 * lanes * (lane_bytes / 16), pops = 0;
    CHECK(buffer);
    do
        while (pc_ring_pop(consumer, buffer, PC_RING_MAX_RECORD, &item) != PC_RING_EMPTY) CHECK(++pops < limit);
    while (++pops < limit && pc_ring_prepare_wait(consumer) != 0);
    CHECK(pops < limit);
    pc_ring_finish_wait(consumer);
    free(buffer);
}

void test_hostile_memory(uint64_t rounds) {
    enum { LANES = 3 };
    size_t size = pc_ring_size(LANES, PC_RING_MIN_LANE);
    // From the heap, to the byte: an access outside is seen by the sanitizer.
    unsigned char *mem = aligned_alloc(128, size), *buffer = malloc(PC_RING_MAX_RECORD);
    CHECK(mem && buffer);
    uint64_t state = 42, corrupt_seen = 0, recovered = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        struct pc_ring ring;
        static struct pc_ring_consumer consumer;
        struct pc_ring_producer producer[LANES] = {0};
        struct pc_ring_item item;
        memset(mem, round % 2 ? 0 : 0xa5, size);
        CHECK(pc_ring_init(&ring, mem, size, LANES, PC_RING_MIN_LANE) == 0);
        pc_ring_consumer_open(&ring, &consumer);
        for (uint32_t i = 0; i < LANES; i++) CHECK(pc_ring_claim(&ring, i + 1, &producer[i]) == 0);
        for (int step = 0; step < 300; step++) {
            uint64_t r = next_random(&state);
            uint32_t which = (uint32_t)(r >> 32) % LANES;
            if (r % 8 < 4) {
                if (producer[which].lane) write_record(&producer[which], which, 1, random_length(&state));
            } else if (r % 8 < 6) {
                (void)pc_ring_pop(&consumer, buffer, PC_RING_MAX_RECORD, &item);
            } else if (r % 128 == 6) {
                corrupt_seen += consumer.corrupt;
                pc_ring_consumer_open(&ring, &consumer);
            } else if (r % 128 == 22) { // the very word that is read next
                volatile uint64_t *word = (volatile uint64_t *)(void *)(consumer.view[which].data +
                                                                        (consumer.view[which].head & consumer.mask));
                *word = hostile_value(&state);
            } else if (r % 128 == 14) {
                (void)pc_ring_abandon(&ring, which + 1, 9, -1);
                (void)pc_ring_claim(&ring, which + 1, &producer[which]);
            } else if (r % 32 == 7) {
                corrupt(mem, size, &state);
            }
        }
        check_runs_dry(&consumer, LANES, PC_RING_MIN_LANE);
        corrupt_seen += consumer.corrupt;
        // One more whole lap by the lanes' owners: a broken lane finds its way back.
        uint64_t before = consumer.records;
        for (int i = 0; i < 20 * LANES; i++) {
            if (producer[i % LANES].lane) write_record(&producer[i % LANES], 0, 1, 1000);
            (void)pc_ring_pop(&consumer, buffer, PC_RING_MAX_RECORD, &item);
        }
        recovered += consumer.records > before;
        // A corrupted description is refused or still describes what is there.
        for (int i = 0; i < 4; i++) {
            volatile uint64_t *word = (volatile uint64_t *)(void *)(mem + next_random(&state) % 5 * 8);
            *word = hostile_value(&state);
            if (pc_ring_attach(&ring, mem, size) == 0) CHECK(pc_ring_size(ring.lanes, ring.lane_bytes) <= size);
        }
    }
    printf("  %llu corruptions noticed, %llu of %llu rounds went on afterwards\n", (unsigned long long)corrupt_seen,
           (unsigned long long)recovered, (unsigned long long)rounds);
    CHECK(corrupt_seen > rounds / 10 && recovered > rounds / 2);
    free(mem);
    free(buffer);
}

#if !UNDER_TSAN // races on purpose
struct vandal {
    unsigned char *mem;
    size_t size;
    volatile bool stop;
};

static void *vandalise(void *argument) {
    struct vandal *v = argument;
    uint64_t state = 77;
    while (!v->stop) corrupt(v->mem, v->size, &state);
    return NULL;
}

// The region changes under the consumer's eyes, between check and use.
void test_concurrent_corruption(uint64_t pops) {
    enum { LANES = 2 };
    struct vandal v = {.size = pc_ring_size(LANES, PC_RING_MIN_LANE)};
    v.mem = aligned_alloc(128, v.size);
    unsigned char *buffer = malloc(PC_RING_MAX_RECORD);
    CHECK(v.mem && buffer);
    struct pc_ring ring;
    static struct pc_ring_consumer consumer;
    struct pc_ring_producer producer;
    struct pc_ring_item item;
    CHECK(pc_ring_init(&ring, v.mem, v.size, LANES, PC_RING_MIN_LANE) == 0);
    pc_ring_consumer_open(&ring, &consumer);
    CHECK(pc_ring_claim(&ring, 1, &producer) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, vandalise, &v) == 0);
    for (uint64_t i = 0; i < pops; i++) {
        write_record(&producer, 1, i, 64 + i % 500);
        (void)pc_ring_pop(&consumer, buffer, PC_RING_MAX_RECORD, &item);
        (void)pc_ring_prepare_wait(&consumer);
        if (i % 1024 == 0) pc_ring_consumer_open(&ring, &consumer);
    }
    v.stop = true;
    pthread_join(thread, NULL);
    check_runs_dry(&consumer, LANES, PC_RING_MIN_LANE);
    free(v.mem);
    free(buffer);
}
#endif
