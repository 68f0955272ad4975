// Throughput of the event ring beside Concurrency Kit's ck_ring and a bounded ring of sequence-numbered cells, in one
// interleaved run: every round measures all rings for one record size one after the other, and a ratio is formed within
// the round, so that a machine that gets slower for a minute slows all of them.
//
// The consumer has CPU 0, the first producer CPU 1; the second producer CPU 2 if there is one, else the consumer's.
// "same CPU" puts both producers on CPU 1. Every ring retries when full, so that all records arrive. Every ring holds 1024
// records; the event ring's lanes are powers of two, which rounds it up. With "less" it is rounded down instead wherever it
// would take more memory than the cells of the sequence ring do (then it holds fewer records than the others).
// usage: ring_bench [rounds [less]]
#include "pc_ring.h"

#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CAPACITY = 1024, MAX_ROUNDS = 101 };
enum kind { CK_SPSC, CK_MPSC, SEQ_SPSC, SEQ_MPSC, RING, RING_WAKE, KINDS };
enum place { ONE, TWO, SAME_CPU, PLACES };
static const char *const kind_name[KINDS] = {
    "ck_ring SPSC", "ck_ring MPSC", "sequence ring SPSC", "sequence ring MPSC", "event ring", "event ring + wake check",
};
static const char *const place_name[PLACES] = {"1 producer", "2 producers", "2 producers, same CPU"};
static const int size_of[] = {64, 128, 256};

static _Atomic bool go, stop;
static uint64_t quota; // records per producer
static bool less_memory;
static struct pc_ring ring;
static void *ring_memory;
static size_t ring_memory_size;
static struct pc_ring_consumer consumer;
static ck_ring_t ck;
static _Alignas(128) _Atomic uint64_t cell_tail;
static _Alignas(128) uint64_t cell_head;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void relax(unsigned *misses) {
    __builtin_ia32_pause();
    if ((++*misses & 255) == 0) sched_yield();
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

// One instance of everything per record size. A record carries its number in the first and in the last word.
#define RINGS(N)                                                                                                       \
    struct record##N {                                                                                                 \
        uint64_t word[N / 8];                                                                                          \
    };                                                                                                                 \
    CK_RING_PROTOTYPE(record##N, record##N)                                                                            \
    static struct record##N ck_buffer##N[CAPACITY];                                                                    \
    static struct {                                                                                                    \
        _Alignas(64) _Atomic uint64_t sequence;                                                                        \
        struct record##N value;                                                                                        \
    } cells##N[CAPACITY];                                                                                              \
    static inline bool cell_push##N(const struct record##N *r, bool shared) {                                          \
        uint64_t at = atomic_load_explicit(&cell_tail, memory_order_relaxed);                                          \
        for (;;) {                                                                                                     \
            uint64_t s = atomic_load_explicit(&cells##N[at % CAPACITY].sequence, memory_order_acquire);                \
            if (s < at) return false;                                                                                  \
            if (s > at) {                                                                                              \
                at = atomic_load_explicit(&cell_tail, memory_order_relaxed);                                           \
                continue;                                                                                              \
            }                                                                                                          \
            if (!shared) atomic_store_explicit(&cell_tail, at + 1, memory_order_relaxed);                              \
            else if (!atomic_compare_exchange_weak_explicit(&cell_tail, &at, at + 1, memory_order_relaxed,             \
                                                            memory_order_relaxed))                                     \
                continue;                                                                                              \
            cells##N[at % CAPACITY].value = *r;                                                                        \
            atomic_store_explicit(&cells##N[at % CAPACITY].sequence, at + 1, memory_order_release);                    \
            return true;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static inline bool cell_pop##N(struct record##N *r) {                                                              \
        uint64_t at = cell_head;                                                                                       \
        if (atomic_load_explicit(&cells##N[at % CAPACITY].sequence, memory_order_acquire) != at + 1) return false;     \
        *r = cells##N[at % CAPACITY].value;                                                                            \
        atomic_store_explicit(&cells##N[at % CAPACITY].sequence, at + CAPACITY, memory_order_release);                 \
        cell_head = at + 1;                                                                                            \
        return true;                                                                                                   \
    }                                                                                                                  \
    static inline bool ring_push##N(struct pc_ring_producer *p, const struct record##N *r) {                           \
        void *room;                                                                                                    \
        if (pc_ring_reserve(p, N, &room) != 0) return false;                                                           \
        memcpy(room, r, N);                                                                                            \
        pc_ring_commit(p);                                                                                             \
        return true;                                                                                                   \
    }                                                                                                                  \
    static inline __attribute__((always_inline)) void produce##N(enum kind kind, struct pc_ring_producer *p) {         \
        struct record##N r = {{0}};                                                                                    \
        for (uint64_t i = 1; i <= quota && !atomic_load_explicit(&stop, memory_order_relaxed); i++) {                  \
            unsigned misses = 0;                                                                                       \
            r.word[0] = r.word[N / 8 - 1] = i;                                                                         \
            while (!(kind == CK_SPSC    ? ck_ring_enqueue_spsc_record##N(&ck, ck_buffer##N, &r)                        \
                     : kind == CK_MPSC  ? ck_ring_enqueue_mpsc_record##N(&ck, ck_buffer##N, &r)                        \
                     : kind == SEQ_SPSC ? cell_push##N(&r, false)                                                      \
                     : kind == SEQ_MPSC ? cell_push##N(&r, true)                                                       \
                                        : ring_push##N(p, &r))) {                                                      \
                if (atomic_load_explicit(&stop, memory_order_relaxed)) return;                                         \
                relax(&misses);                                                                                        \
            }                                                                                                          \
            if (kind == RING_WAKE && pc_ring_needs_wake(p)) abort();                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static inline __attribute__((always_inline)) uint64_t consume##N(enum kind kind, uint64_t total, uint64_t limit) { \
        struct record##N r = {{0}};                                                                                    \
        struct pc_ring_item item;                                                                                      \
        uint64_t sum = 0, n = 0;                                                                                       \
        for (unsigned misses = 0; n < total;) {                                                                        \
            bool ok = kind == CK_SPSC   ? ck_ring_dequeue_spsc_record##N(&ck, ck_buffer##N, &r)                        \
                      : kind == CK_MPSC ? ck_ring_dequeue_mpsc_record##N(&ck, ck_buffer##N, &r)                        \
                      : kind == SEQ_SPSC || kind == SEQ_MPSC                                                           \
                          ? cell_pop##N(&r)                                                                            \
                          : pc_ring_pop(&consumer, &r, sizeof r, &item) == PC_RING_RECORD;                             \
            if (ok) {                                                                                                  \
                sum += r.word[N / 8 - 1];                                                                              \
                n++;                                                                                                   \
            } else {                                                                                                   \
                relax(&misses);                                                                                        \
                if ((misses & 1023) == 0 && now_ns() > limit) break;                                                   \
            }                                                                                                          \
        }                                                                                                              \
        uint64_t producers = total / quota;                                                                            \
        if (n == total && sum != producers * (quota * (quota + 1) / 2)) {                                              \
            fprintf(stderr, "records lost by %s\n", kind_name[kind]);                                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
        return n;                                                                                                      \
    }
RINGS(64)
RINGS(128)
RINGS(256)

// Constant kinds, so that each loop is compiled for its ring.
#define EACH_KIND(N, WHAT, ...)                                                                                        \
    switch (kind) {                                                                                                    \
    case CK_SPSC: WHAT##N(CK_SPSC, __VA_ARGS__); break;                                                                \
    case CK_MPSC: WHAT##N(CK_MPSC, __VA_ARGS__); break;                                                                \
    case SEQ_SPSC: WHAT##N(SEQ_SPSC, __VA_ARGS__); break;                                                              \
    case SEQ_MPSC: WHAT##N(SEQ_MPSC, __VA_ARGS__); break;                                                              \
    case RING: WHAT##N(RING, __VA_ARGS__); break;                                                                      \
    default: WHAT##N(RING_WAKE, __VA_ARGS__); break;                                                                   \
    }

struct job {
    enum kind kind;
    int size, cpu;
    uint64_t owner;
};

static void *producer_thread(void *argument) {
    const struct job *job = argument;
    enum kind kind = job->kind;
    struct pc_ring_producer producer = {0};
    pin(job->cpu);
    if (kind >= RING && pc_ring_claim(&ring, job->owner, &producer) != 0) abort();
    while (!atomic_load(&go)) sched_yield();
    if (job->size == 64) EACH_KIND(64, produce, &producer)
    else if (job->size == 128) EACH_KIND(128, produce, &producer)
    else EACH_KIND(256, produce, &producer)
    pc_ring_release(&producer);
    return NULL;
}

// Mops/s; `*unfinished` is raised if the time limit came first (then the records that did arrive are counted).
static double measure(enum kind kind, int size, enum place place, int *unfinished) {
    uint32_t producers = place == ONE ? 1 : 2;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    quota = place == ONE ? 400000 : place == TWO ? 100000 : 200000;
    atomic_store(&go, false);
    atomic_store(&stop, false);
    cell_head = 0;
    atomic_store(&cell_tail, 0);
    ck_ring_init(&ck, CAPACITY);
    for (uint64_t i = 0; i < CAPACITY; i++) {
        atomic_store_explicit(&cells64[i].sequence, i, memory_order_relaxed);
        atomic_store_explicit(&cells128[i].sequence, i, memory_order_relaxed);
        atomic_store_explicit(&cells256[i].sequence, i, memory_order_relaxed);
    }
    uint64_t bytes = PC_RING_MIN_LANE; // CAPACITY records with their 8-byte words, shared out among the lanes
    while (bytes * producers < CAPACITY * ((uint64_t)size + 8)) bytes *= 2;
    if (less_memory && bytes * producers > CAPACITY * ((uint64_t)size + 64)) bytes /= 2;
    if (pc_ring_init(&ring, ring_memory, ring_memory_size, producers, bytes) != 0) abort();
    pc_ring_consumer_open(&ring, &consumer);
    struct job job[2];
    pthread_t thread[2];
    for (uint32_t i = 0; i < producers; i++) {
        int cpu = i == 0 || place == SAME_CPU ? 1 : cpus > 2 ? 2 : 0;
        job[i] = (struct job){kind, size, cpu, i + 1};
        pthread_create(&thread[i], NULL, producer_thread, &job[i]);
    }
    usleep(1000);
    uint64_t total = quota * producers, done = 0, start = now_ns(), limit = start + 1000000000u;
    atomic_store(&go, true);
    if (size == 64) EACH_KIND(64, done = consume, total, limit)
    else if (size == 128) EACH_KIND(128, done = consume, total, limit)
    else EACH_KIND(256, done = consume, total, limit)
    double ns = (double)(now_ns() - start);
    atomic_store(&stop, true);
    for (uint32_t i = 0; i < producers; i++) pthread_join(thread[i], NULL);
    *unfinished += done < total;
    return (double)done / ns * 1e3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(const double *values, int n) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, values, (size_t)n * sizeof *values);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return n & 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static bool measured(enum kind kind, enum place place) {
    return place == ONE || (kind != CK_SPSC && kind != SEQ_SPSC);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 21;
    less_memory = argc > 2 && strcmp(argv[2], "less") == 0;
    if (rounds < 1 || rounds > MAX_ROUNDS) return 2;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return 3;
    ring_memory_size = pc_ring_size(2, 512 << 10);
    ring_memory = mmap(NULL, ring_memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ring_memory == MAP_FAILED) return 3;
    memset(ring_memory, 0, ring_memory_size);
    pin(0);
    static double speed[PLACES][3][KINDS][MAX_ROUNDS];
    static int unfinished[PLACES][3][KINDS];
    for (int round = 0; round < rounds; round++)
        for (int place = 0; place < PLACES; place++)
            for (int s = 0; s < 3; s++)
                for (int k = 0; k < KINDS; k++) {
                    int kind = (k + round) % KINDS; // no ring always follows the same one
                    if (measured((enum kind)kind, (enum place)place))
                        speed[place][s][kind][round] =
                            measure((enum kind)kind, size_of[s], (enum place)place, &unfinished[place][s][kind]);
                }
    printf("Million records/s, medians of %d rounds; (n) = rounds not finished within 1 s\n", rounds);
    for (int place = 0; place < PLACES; place++) {
        printf("\n| %s | 64 B | 128 B | 256 B |\n|---|---:|---:|---:|\n", place_name[place]);
        int best[3] = {-1, -1, -1};
        for (int kind = 0; kind < KINDS; kind++) {
            if (!measured((enum kind)kind, (enum place)place)) continue;
            printf("| %s |", kind_name[kind]);
            for (int s = 0; s < 3; s++) {
                double m = median(speed[place][s][kind], rounds);
                if (kind < RING && (best[s] < 0 || m > median(speed[place][s][best[s]], rounds))) best[s] = kind;
                printf(" %.2f", m);
                if (unfinished[place][s][kind]) printf(" (%d)", unfinished[place][s][kind]);
                printf(" |");
            }
            puts("");
        }
        for (int kind = RING; kind < KINDS; kind++) {
            printf("| **%s / best other** |", kind_name[kind]);
            for (int s = 0; s < 3; s++) {
                double ratio[MAX_ROUNDS];
                for (int i = 0; i < rounds; i++) ratio[i] = speed[place][s][kind][i] / speed[place][s][best[s]][i];
                printf(" **%.2f** |", median(ratio, rounds));
            }
            puts("");
        }
    }
    return 0;
}
