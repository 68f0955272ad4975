// The fixed head of an event record: what the worker tells the front about one verdict. The variable fields follow in the order
// of their lengths. Little-endian, no padding that is not named.
#pragma once
#include <stdint.h>

enum pc_event_kind {
    PC_EVENT_VERDICT = 1,
    PC_EVENT_STALE_DESCRIPTOR = 2,
};

enum pc_event_flag {
    PC_EVENT_PATH_UNTRUSTED = 1,
    PC_EVENT_MATCHED_BY_OBJECT = 2,
    PC_EVENT_TRUNCATED = 4,
    PC_EVENT_FAILURE = 8,
};

enum {
    PC_EVENT_VERSION = 1,
    PC_EVENT_FIELDS = 8,
};

struct pc_event_header {
    uint16_t version;
    uint16_t header_size;
    uint8_t kind;
    uint8_t category;
    uint8_t effect;
    uint8_t mechanism;
    uint32_t flags;
    uint32_t rule;
    uint64_t generation;
    uint64_t wall_clock;
    int32_t pid;
    int32_t ppid;
    int32_t tid;
    uint32_t uid;
    uint32_t owner;
    int32_t system_call;
    uint64_t open_flags;
    uint32_t terminal;
    // Failure row, or the descriptor number of a stale descriptor.
    uint32_t detail;
    uint16_t lengths[PC_EVENT_FIELDS];
};
_Static_assert(sizeof(struct pc_event_header) == 88, "the record's head is fixed");
