// What the tests of the ring share: a check, records that can be recognised, and the tests by name.
#pragma once

#include "pc_event.h"
#include "pc_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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

/// xorshift64.
uint64_t next_random(uint64_t *state);
/// Shared, zeroed memory; ended by munmap.
void *map_shared(size_t size);

// A record of the tests: who, which, and bytes that follow from both.
struct head {
    uint32_t producer, length;
    uint64_t number;
};

void fill(unsigned char *to, uint32_t producer, uint64_t number, uint32_t length);
/// Checks that the bytes are what `fill` made of their head.
struct head verify(const unsigned char *bytes, uint32_t length);
/// Mostly short, sometimes the longest.
uint32_t random_length(uint64_t *state);
/// Reads everything; returns records, adds to `*lost`.
uint64_t drain(struct pc_ring_consumer *consumer, uint64_t *lost);
/// Writes what `fill` makes; a full lane is allowed.
void write_record(struct pc_ring_producer *p, uint32_t producer, uint64_t number, uint32_t length);

void test_edges(void);
void test_killed_in_reservation(void);
void test_killed_at_random(void);
void test_every_instruction(void);
void test_hostile_memory(uint64_t rounds);
void test_concurrent_corruption(uint64_t pops);
void test_same_cpu(uint64_t records);
void test_traffic(uint64_t records);
