// Producers of several threads and processes at once.
#include "ring_test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 2, THREADS = 2, PRODUCERS = PROCESSES + THREADS };

struct traffic {
    struct pc_ring *ring;
    uint32_t producer;
    uint64_t records;
    int wake, cpu;
    bool lossless;
};

static void *produce(void *argument) {
    const struct traffic *t = argument;
    struct pc_ring_producer p;
    uint64_t state = 0x1234567 + t->producer;
    if (t->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(t->cpu, &set);
        CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
    }
    CHECK(pc_ring_claim(t->ring, t->producer + 1, &p) == 0);
    for (uint64_t i = 1; i <= t->records; i++) {
        uint32_t length = random_length(&state);
        void *room;
        int result;
        while ((result = pc_ring_reserve(&p, length, &room)) == -EAGAIN && t->lossless) sched_yield();
        if (result == 0) {
            fill(room, t->producer, i, length);
            pc_ring_commit(&p);
        } else {
            CHECK(result == -EAGAIN);
            pc_ring_drop(&p);
        }
        if (pc_ring_needs_wake(&p)) CHECK(eventfd_write(t->wake, 1) == 0);
    }
    pc_ring_release(&p);
    if (pc_ring_needs_wake(&(struct pc_ring_producer){.shared = t->ring->shared})) CHECK(eventfd_write(t->wake, 1) == 0);
    return NULL;
}

// Reads until `total` records have come or are reported lost. Within a producer numbers rise, and a gap is never seen before
// the loss that made it was reported.
static void consume(struct pc_ring *ring, uint64_t total, int wake, uint64_t last[PRODUCERS], uint64_t *lost) {
    static unsigned char buffer[PC_RING_MAX_RECORD];
    static struct pc_ring_consumer consumer;
    struct pc_ring_item item;
    uint64_t gaps = 0, sleeps = 0;
    pc_ring_consumer_open(ring, &consumer);
    while (consumer.records + consumer.lost < total) {
        int kind = pc_ring_pop(&consumer, buffer, sizeof buffer, &item);
        CHECK(kind >= 0 && kind != PC_RING_CORRUPT);
        if (kind == PC_RING_RECORD) {
            struct head head = verify(buffer, item.length);
            CHECK(head.producer < PRODUCERS && head.number > last[head.producer]);
            gaps += head.number - last[head.producer] - 1;
            last[head.producer] = head.number;
            CHECK(gaps <= consumer.lost);
        } else if (kind == PC_RING_EMPTY && pc_ring_prepare_wait(&consumer) == 0) {
            struct pollfd fd = {.fd = wake, .events = POLLIN};
            CHECK(poll(&fd, 1, 60000) == 1); // a missed wake-up would end here
            eventfd_t value;
            CHECK(eventfd_read(wake, &value) == 0);
            pc_ring_finish_wait(&consumer);
            sleeps++;
        }
    }
    CHECK(consumer.records + consumer.lost == total);
    *lost = consumer.lost;
    printf("  %llu records, %llu lost, %llu sleeps\n", (unsigned long long)consumer.records,
           (unsigned long long)consumer.lost, (unsigned long long)sleeps);
}

void test_traffic(uint64_t records) {
    struct pc_ring ring;
    size_t size = pc_ring_size(PRODUCERS, 256 << 10);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, PRODUCERS, 256 << 10) == 0);
    int wake = eventfd(0, EFD_CLOEXEC);
    struct traffic traffic[PRODUCERS];
    pid_t child[PROCESSES];
    pthread_t thread[THREADS];
    fflush(stdout);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        traffic[i] = (struct traffic){&ring, i, records / PRODUCERS, wake, -1, i % 2 == 0};
        if (i < PROCESSES) {
            child[i] = fork();
            CHECK(child[i] >= 0);
            if (child[i] == 0) {
                produce(&traffic[i]);
                _exit(0);
            }
        } else {
            CHECK(pthread_create(&thread[i - PROCESSES], NULL, produce, &traffic[i]) == 0);
        }
    }
    uint64_t last[PRODUCERS] = {0}, lost;
    consume(&ring, records / PRODUCERS * PRODUCERS, wake, last, &lost);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        CHECK(waitpid(child[i], &status, 0) == child[i] && status == 0);
    }
    struct pc_ring_stats stats;
    pc_ring_get_stats(&ring, &stats);
    CHECK(stats.attempts == records / PRODUCERS * PRODUCERS && stats.dropped == lost && stats.claimed == 0);
    CHECK(last[0] == records / PRODUCERS && last[2] == records / PRODUCERS); // the lossless ones lost nothing
    close(wake);
    munmap(mem, size);
}

// Two producers that take turns on one CPU must both get done.
void test_same_cpu(uint64_t records) {
    struct pc_ring ring;
    size_t size = pc_ring_size(2, 64 << 10);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 2, 64 << 10) == 0);
    cpu_set_t allowed;
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    int cpu = CPU_SETSIZE - 1;
    while (cpu > 0 && !CPU_ISSET(cpu, &allowed)) cpu--;
    int wake = eventfd(0, EFD_CLOEXEC);
    struct traffic traffic[2];
    pthread_t thread[2];
    for (uint32_t i = 0; i < 2; i++) {
        traffic[i] = (struct traffic){&ring, i, records / 2, wake, cpu, true};
        CHECK(pthread_create(&thread[i], NULL, produce, &traffic[i]) == 0);
    }
    uint64_t last[PRODUCERS] = {0}, lost;
    consume(&ring, records / 2 * 2, wake, last, &lost);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    CHECK(lost == 0 && last[0] == records / 2 && last[1] == records / 2);
    close(wake);
    munmap(mem, size);
}
