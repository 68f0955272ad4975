// Tests of the event ring in C, to be run plain, under ASan+UBSan and under TSan (scripts/test-c).
// RING_RECORDS = records of the traffic test (default 4 000 000).
#include "pc_event.h"
#include "pc_ring.h"

#include <errno.h>
#include <pthread.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static uint64_t next_random(uint64_t *state) { // xorshift64
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void *map_shared(size_t size) {
    int fd = memfd_create("ring", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mem != MAP_FAILED);
    close(fd);
    return mem;
}

// A record of the tests: who, which, and bytes that follow from both.
struct head {
    uint32_t producer, length;
    uint64_t number;
};

static void fill(unsigned char *to, uint32_t producer, uint64_t number, uint32_t length) {
    memcpy(to, &(struct head){producer, length, number}, sizeof(struct head));
    memset(to + sizeof(struct head), (int)((number * 31 + producer) & 0xff), length - sizeof(struct head));
}

static struct head verify(const unsigned char *bytes, uint32_t length) {
    struct head head;
    CHECK(length >= sizeof head);
    memcpy(&head, bytes, sizeof head);
    CHECK(head.length == length);
    for (uint32_t i = sizeof head; i < length; i++) CHECK(bytes[i] == ((head.number * 31 + head.producer) & 0xff));
    return head;
}

static uint32_t random_length(uint64_t *state) {
    uint64_t r = next_random(state);
    if (r % 4096 == 0) return PC_RING_MAX_RECORD;
    return (uint32_t)(sizeof(struct head) + (r >> 16) % (r % 64 == 0 ? 1024 : 96));
}

// MARK: arguments and edges

static void test_edges(void) {
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

// MARK: traffic

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

static void test_traffic(uint64_t records) {
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
static void test_same_cpu(uint64_t records) {
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

// MARK: death

// Reads everything; returns records, adds to `*lost`.
static uint64_t drain(struct pc_ring_consumer *consumer, uint64_t *lost) {
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

static void write_record(struct pc_ring_producer *p, uint32_t producer, uint64_t number, uint32_t length) {
    static unsigned char bytes[PC_RING_MAX_RECORD];
    fill(bytes, producer, number, length);
    int result = pc_ring_write(p, &(struct pc_ring_part){bytes, length}, 1);
    CHECK(result == 0 || result == -EAGAIN);
}

// A process killed between reserve and commit: others are read at once, its whole records stay, the begun one is lost.
static void test_killed_in_reservation(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(2, PC_RING_MIN_LANE);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 2, PC_RING_MIN_LANE) == 0);
    struct pc_ring_producer other;
    CHECK(pc_ring_claim(&ring, 1, &other) == 0);
    static struct pc_ring_consumer consumer;
    pc_ring_consumer_open(&ring, &consumer);
    for (uint64_t round = 0; round < 50; round++) {
        int ready[2];
        CHECK(pipe(ready) == 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct pc_ring_producer mine;
            void *room;
            if (pc_ring_claim(&ring, 100 + round, &mine) != 0) _exit(1);
            for (uint64_t i = 1; i <= 3; i++) write_record(&mine, 1, i, 100);
            if (pc_ring_reserve(&mine, 1000, &room) != 0) _exit(1);
            memset(room, 0xee, 500);
            if (write(ready[1], "r", 1) != 1) _exit(1);
            for (;;) pause();
        }
        char byte;
        close(ready[1]);
        CHECK(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        uint64_t lost = 0;
        CHECK(drain(&consumer, &lost) == 3 && lost == 0);
        write_record(&other, 0, round, 200);
        CHECK(drain(&consumer, &lost) == 1 && lost == 0); // not held up by the open reservation
        int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        if (pidfd >= 0) CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == -EBUSY);
        CHECK(kill(child, SIGKILL) == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == 1);
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == 0);
        if (pidfd >= 0) close(pidfd);
        CHECK(drain(&consumer, &lost) == 0 && lost == 1);
    }
    CHECK(consumer.corrupt == 0);
    munmap(mem, size);
}

// Killed anywhere while writing as fast as it can; the next process inherits the lane, nobody reads in between.
static void test_killed_at_random(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(1, 64 << 10);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 1, 64 << 10) == 0);
    static struct pc_ring_consumer consumer;
    pc_ring_consumer_open(&ring, &consumer);
    uint64_t records = 0, lost = 0;
    for (uint64_t round = 0; round < 200; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct pc_ring_producer mine;
            uint64_t state = round + 1;
            if (pc_ring_claim(&ring, 100 + round, &mine) != 0) _exit(1);
            for (uint64_t i = 1;; i++) write_record(&mine, 1, i, random_length(&state));
        }
        usleep((useconds_t)(next_random(&random_state) % 2000));
        if (round % 3) records += drain(&consumer, &lost);
        kill(child, SIGKILL);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, -1) <= 1);
    }
    records += drain(&consumer, &lost);
    struct pc_ring_stats stats;
    pc_ring_get_stats(&ring, &stats);
    CHECK(stats.claimed == 0 && consumer.corrupt == 0);
    CHECK(stats.attempts == stats.commits + stats.dropped && records == stats.commits && lost == stats.dropped);
    printf("  %llu records, %llu lost in 200 deaths\n", (unsigned long long)records, (unsigned long long)lost);
    munmap(mem, size);
}

#if !UNDER_TSAN // its runtime does not live with a traced child
// Death at every single instruction: a child is stepped through writes, a drop and a release; after each step a copy of
// the region is what its death there would leave.
static void test_every_instruction(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(1, PC_RING_MIN_LANE);
    void *mem = map_shared(size), *copy = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 1, PC_RING_MIN_LANE) == 0);
    static unsigned char bytes[PC_RING_MAX_RECORD];
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct pc_ring_producer mine;
        struct pc_ring_part part[3] = {{bytes, 40}, {bytes, PC_RING_MAX_RECORD}, {bytes, 7000}};
        if (pc_ring_claim(&ring, 5, &mine) != 0 || ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(7);
        fill(bytes, 1, 1, 40);
        for (int i = 0; i < 2; i++) pc_ring_write(&mine, &part[0], 1); // resolves lazily bound functions
        raise(SIGSTOP);
        pc_ring_write(&mine, &part[0], 1);
        fill(bytes, 1, 1, PC_RING_MAX_RECORD);
        pc_ring_write(&mine, &part[1], 1);
        pc_ring_write(&mine, &part[1], 1); // no room
        fill(bytes, 1, 1, 7000);
        pc_ring_write(&mine, &part[2], 1); // crosses the lane's end unless there is no room
        pc_ring_release(&mine);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) {
        printf("  SKIPPED: ptrace is not allowed here (child said %d)\n", WEXITSTATUS(status));
        return;
    }
    uint64_t steps = 0, begun = 0, outcomes[3] = {0}; // losses by death, drops seen, clean
    for (;; steps++) {
        memcpy(copy, mem, size);
        struct pc_ring dead;
        static struct pc_ring_consumer consumer;
        struct pc_ring_stats before, after;
        struct pc_ring_producer heir;
        uint64_t lost = 0;
        CHECK(pc_ring_attach(&dead, copy, size) == 0);
        pc_ring_get_stats(&dead, &before);
        pc_ring_consumer_open(&dead, &consumer);
        CHECK(pc_ring_abandon(&dead, 5, 6, -1) == (before.claimed ? 1 : 0));
        pc_ring_get_stats(&dead, &after);
        CHECK(after.claimed == 0 && after.attempts == before.attempts && after.attempts == after.commits + after.dropped);
        CHECK(after.attempts >= begun);
        begun = after.attempts;
        uint64_t records = drain(&consumer, &lost);
        CHECK(records == after.commits && lost == after.dropped);
        CHECK(pc_ring_claim(&dead, 7, &heir) == 0);
        for (uint64_t i = 1; i <= 20; i++) { // over the end of the lane
            write_record(&heir, 2, i, 2000);
            CHECK(drain(&consumer, &lost) == 1);
        }
        CHECK(lost == after.dropped && consumer.corrupt == 0);
        outcomes[before.dropped + before.commits < after.attempts ? 0 : after.dropped ? 1 : 2]++;
        CHECK(ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) break;
        CHECK(WSTOPSIG(status) == SIGTRAP);
    }
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(begun == 6 && outcomes[0] > 0 && outcomes[1] > 0 && outcomes[2] > 0);
    printf("  %llu instructions: %llu with a record under way\n", (unsigned long long)steps,
           (unsigned long long)outcomes[0]);
    munmap(mem, size);
    munmap(copy, size);
}
#endif

// MARK: hostile memory

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

static void test_hostile_memory(uint64_t rounds) {
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
static void test_concurrent_corruption(uint64_t pops) {
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

int main(void) {
    const char *wanted = getenv("RING_RECORDS");
    uint64_t records = wanted ? strtoull(wanted, NULL, 10) : 4000000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(records >= 1000);
    puts("edges");
    test_edges();
    puts("killed in reservation");
    test_killed_in_reservation();
    puts("killed at random");
    test_killed_at_random();
#if !UNDER_TSAN
    puts("every instruction");
    test_every_instruction();
    puts("corruption under the consumer's eyes");
    test_concurrent_corruption(200000);
#endif
    puts("hostile memory");
    test_hostile_memory(UNDER_TSAN ? 300 : 3000);
    puts("two producers on one CPU");
    test_same_cpu(records / 10);
    puts("traffic of processes and threads");
    test_traffic(records);
    puts("ok");
    return 0;
}
