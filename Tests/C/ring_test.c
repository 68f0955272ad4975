// Tests of the event ring, run under sanitizers by scripts/test-c. Each check prints what failed and ends the run.
//
// RING_RECORDS sets how many records the throughput checks write (default 300 000).
#define _GNU_SOURCE
#include "pc_ring.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

enum { CELLS = 1024, PRODUCERS = 4 };

static void *new_memory(size_t *size) {
    *size = pc_ring_size(CELLS);
    void *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(pc_ring_init(memory, *size, CELLS) == 0);
    return memory;
}

static int put(struct pc_ring *ring, const void *data, size_t length) {
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    return pc_ring_write(ring, &part, 1);
}

// Record: producer, sequence, then bytes that both determine.
struct head {
    uint32_t producer, length;
    uint64_t sequence;
};
static unsigned char byte_of(const struct head *head, size_t index) {
    return (unsigned char)(head->producer * 31 + head->sequence * 7 + index);
}
static size_t make(unsigned char *record, uint32_t producer, uint64_t sequence) {
    struct head head = {producer, (uint32_t)((sequence * 37 + producer) % 700), sequence};
    memcpy(record, &head, sizeof head);
    for (size_t i = 0; i < head.length; i++) record[sizeof head + i] = byte_of(&head, i);
    return sizeof head + head.length;
}

struct producer {
    pthread_t thread;
    void *memory;
    size_t size;
    uint32_t number;
    uint64_t records, written;
    int cpu;
};
static void *produce(void *argument) {
    struct producer *self = argument;
    if (self->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(self->cpu, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    struct pc_ring ring;
    CHECK(pc_ring_attach(&ring, self->memory, self->size) == 0);
    unsigned char record[1024];
    for (uint64_t i = 0; i < self->records; i++) {
        size_t length = make(record, self->number, i);
        int result = put(&ring, record, length);
        CHECK(result == 0 || result == -ENOBUFS);
        // A dropped record is given up; the next one is tried when the consumer had a moment.
        if (result == 0) self->written++; else sched_yield();
    }
    return NULL;
}

static void many_producers(int count, uint64_t records, int one_cpu) {
    size_t size;
    void *memory = new_memory(&size);
    struct producer producers[PRODUCERS] = {0};
    struct pc_ring ring;
    CHECK(pc_ring_attach(&ring, memory, size) == 0);
    for (int p = 0; p < count; p++) {
        producers[p] = (struct producer){.memory = memory, .size = size, .number = (uint32_t)p,
                                         .records = records / (uint64_t)count, .cpu = one_cpu ? 0 : -1};
        CHECK(pthread_create(&producers[p].thread, NULL, produce, &producers[p]) == 0);
    }
    uint64_t consumed = 0, lost = 0, next[PRODUCERS] = {0}, total = records / (uint64_t)count * (uint64_t)count;
    unsigned char record[PC_RING_RECORD_MAX];
    while (consumed + lost < total) {
        ptrdiff_t length = pc_ring_read(&ring, record, sizeof record);
        if (length == 0) {
            lost += pc_ring_take_lost(&ring);
            continue;
        }
        CHECK(length >= (ptrdiff_t)sizeof(struct head));
        struct head head;
        memcpy(&head, record, sizeof head);
        CHECK(head.producer < (uint32_t)count && length == (ptrdiff_t)(sizeof head + head.length));
        // Records of one producer come in order; some may be missing, none twice.
        CHECK(head.sequence >= next[head.producer]);
        next[head.producer] = head.sequence + 1;
        for (size_t i = 0; i < head.length; i++) CHECK(record[sizeof head + i] == byte_of(&head, i));
        consumed++;
    }
    uint64_t written = 0;
    for (int p = 0; p < count; p++) {
        pthread_join(producers[p].thread, NULL);
        written += producers[p].written;
    }
    CHECK(written == consumed && lost == total - written);
    printf("%d producers%s: %lu consumed, %lu lost, none unaccounted\n", count, one_cpu ? " on one CPU" : "",
           (unsigned long)consumed, (unsigned long)lost);
    munmap(memory, size);
}

static void sizes(void) {
    size_t size;
    void *memory = new_memory(&size);
    struct pc_ring writer, reader;
    CHECK(pc_ring_attach(&writer, memory, size) == 0 && pc_ring_attach(&reader, memory, size) == 0);
    unsigned char in[PC_RING_RECORD_MAX + 1], out[PC_RING_RECORD_MAX];
    for (size_t length = 0; length <= PC_RING_RECORD_MAX; length += length < 500 ? 1 : 97) {
        for (size_t i = 0; i < length; i++) in[i] = (unsigned char)(i * 13 + length);
        CHECK(put(&writer, in, length) == 0);
        ptrdiff_t got = pc_ring_read(&reader, out, sizeof out);
        // An empty record is a record, and cannot be told from none by its length: the ring's users never write one.
        CHECK(got == (ptrdiff_t)length && memcmp(in, out, length) == 0);
    }
    CHECK(put(&writer, in, PC_RING_RECORD_MAX + 1) == -EMSGSIZE);
    CHECK(put(&writer, in, 300) == 0);
    CHECK(pc_ring_read(&reader, out, 100) == -EMSGSIZE && pc_ring_take_lost(&reader) == 1);
    CHECK(pc_ring_read(&reader, out, sizeof out) == 0);
    munmap(memory, size);
    puts("sizes: every record came back as it was");
}

static void full(void) {
    size_t size;
    void *memory = new_memory(&size);
    struct pc_ring writer, reader;
    CHECK(pc_ring_attach(&writer, memory, size) == 0 && pc_ring_attach(&reader, memory, size) == 0);
    unsigned char record[100] = {0};
    for (int i = 0; i < CELLS; i++) CHECK(put(&writer, record, sizeof record) == 0);
    for (int i = 0; i < 7; i++) CHECK(put(&writer, record, sizeof record) == -ENOBUFS);
    CHECK(pc_ring_take_lost(&reader) == 7 && pc_ring_take_lost(&reader) == 0);
    for (int i = 0; i < CELLS; i++) CHECK(pc_ring_read(&reader, record, sizeof record) == sizeof record);
    CHECK(pc_ring_read(&reader, record, sizeof record) == 0);
    CHECK(put(&writer, record, sizeof record) == 0);
    munmap(memory, size);
    puts("full: drops are counted, and the ring goes on");
}

// A producer process is killed between reservation and commit.
static void killed(void) {
    size_t size;
    void *memory = new_memory(&size);
    struct pc_ring reader;
    CHECK(pc_ring_attach(&reader, memory, size) == 0);
    unsigned char record[PC_RING_RECORD_MAX];
    uint64_t consumed = 0, lost = 0, produced = 0;
    for (int round = 0; round < 50; round++) {
        int ready[2];
        CHECK(pipe(ready) == 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct pc_ring ring;
            if (pc_ring_attach(&ring, memory, size) != 0) _exit(1);
            for (int i = 0; i < 5; i++) put(&ring, record, 50);
            pc_ring_reserve_only(&ring, (size_t)(round * 40));
            pc_ring_reserve_only(&ring, 10);
            if (write(ready[1], "x", 1) != 1) _exit(1);
            pause();
        }
        char byte;
        CHECK(read(ready[0], &byte, 1) == 1);
        CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
        close(ready[0]);
        close(ready[1]);
        produced += 7;
        while (pc_ring_read(&reader, record, sizeof record) > 0) consumed++;
        CHECK(consumed == (uint64_t)(round + 1) * 5 + (uint64_t)round); // the dead producer's two stop the reader
        pc_ring_abandon(&reader);
        struct pc_ring writer;
        CHECK(pc_ring_attach(&writer, memory, size) == 0 && put(&writer, record, 20) == 0);
        produced++;
        CHECK(pc_ring_read(&reader, record, sizeof record) == 20);
        consumed++;
        lost += pc_ring_take_lost(&reader);
        CHECK(consumed + lost == produced);
    }
    munmap(memory, size);
    printf("killed: %lu consumed, %lu lost with 50 dead producers\n", (unsigned long)consumed, (unsigned long)lost);
}

// Whatever a producer writes over the ring, the consumer neither leaves it nor stays in it.
static void hostile(void) {
    size_t size;
    unsigned char *memory = new_memory(&size);
    unsigned char record[PC_RING_RECORD_MAX];
    srand(7);
    for (int round = 0; round < 400; round++) {
        struct pc_ring ring;
        memset(memory, 0, size);
        CHECK(pc_ring_init(memory, size, CELLS) == 0 && pc_ring_attach(&ring, memory, size) == 0);
        for (int i = 0; i < 100; i++) put(&ring, record, (size_t)(rand() % 500));
        // The first line holds what the consumer copied when it attached; the rest is anybody's.
        for (int i = 0; i < 3000; i++) memory[128 + (size_t)rand() % (size - 128)] = (unsigned char)rand();
        struct pc_ring reader;
        CHECK(pc_ring_attach(&reader, memory, size) == 0);
        if (round & 1) pc_ring_abandon(&reader);
        int reads = 0;
        while (pc_ring_read(&reader, record, sizeof record) != 0) CHECK(++reads <= 4 * CELLS);
    }
    munmap(memory, size);
    puts("hostile: 400 corrupted rings read to their end");
}

static void sleeping(void) {
    size_t size;
    void *memory = new_memory(&size);
    struct pc_ring writer, reader;
    CHECK(pc_ring_attach(&writer, memory, size) == 0 && pc_ring_attach(&reader, memory, size) == 0);
    CHECK(!pc_ring_needs_wake(&writer));
    CHECK(pc_ring_prepare_sleep(&reader) == 1);
    CHECK(put(&writer, "x", 1) == 0);
    CHECK(pc_ring_needs_wake(&writer) && !pc_ring_needs_wake(&writer));
    CHECK(pc_ring_prepare_sleep(&reader) == 0); // there is a record
    munmap(memory, size);
    puts("sleeping: woken once, and never sent to sleep over a record");
}

int main(void) {
    const char *text = getenv("RING_RECORDS");
    uint64_t records = text ? strtoull(text, NULL, 10) : 300000;
    size_t size;
    void *memory = new_memory(&size);
    struct pc_ring ring;
    CHECK(pc_ring_size(100) == 0 && pc_ring_size(64) == 0 && pc_ring_init(memory, 100, CELLS) == -EINVAL);
    CHECK(pc_ring_attach(&ring, memory, size - 1) == -EINVAL);
    munmap(memory, size);
    sizes();
    full();
    sleeping();
    killed();
    hostile();
    many_producers(1, records, 0);
    many_producers(2, records, 0);
    many_producers(4, records, 0);
    many_producers(2, records / 4, 1);
    puts("ring: all checks passed");
    return 0;
}
