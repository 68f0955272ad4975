// Fixed part of one telemetry record. The same bytes are written by the worker and the guardian and read by the front,
// which may be builds of different days: a reader refuses any other version or header size.
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PC_EVENT_VERSION 2u
/// Header and all fields together, bytes; equals PC_RING_MAX_RECORD.
#define PC_EVENT_MAX 8192u
#define PC_EVENT_FIELDS 9
/// Offset of `length`, bytes; for writers that fill the table in place.
#define PC_EVENT_LENGTH_OFFSET 72u

/// Native byte order (the ring never leaves the machine). After it follow the variable fields, without padding, in the
/// order of `length`.
struct pc_event_header {
    uint16_t version;     ///< PC_EVENT_VERSION
    uint16_t header_size; ///< sizeof(struct pc_event_header)
    uint8_t kind;         ///< 1 verdict, 2 stale descriptor, 3 agent notice, 4 loss
    uint8_t category;     ///< 0 process, 1 file, 2 protocol, 3 dns, 4 capability, 5 syscall, 6 packet
    uint8_t effect;       ///< 0 allow, 1 audit, 2 block
    uint8_t mechanism;    ///< 1 fanotify, 2 seccomp, 3 nftables; 0 none (notices)
    uint32_t flags;       ///< the Swift face (`EventFlags`) names the bits
    uint32_t rule_id;     ///< index in the snapshot of `generation`
    uint64_t generation;  ///< snapshot generation
    uint64_t wall_ns;     ///< CLOCK_REALTIME, ns
    uint64_t sequence;    ///< numbered by the writer; in a loss record the number of lost records
    int32_t host_pid;
    int32_t host_ppid;
    int32_t tid;
    uint32_t uid;
    uint32_t oid;         ///< owner of the object
    int32_t syscall_nr;   ///< -1 unknown
    uint32_t open_flags;  ///< O_* of the open
    uint32_t notice_code; ///< kind 3 only
    uint16_t length[PC_EVENT_FIELDS]; ///< resource, requested path, executable, parent executable, cwd, tty, comm,
                                      ///< arguments (argv joined by NUL), message; bytes
    uint16_t container_low; ///< number of the container that the process belongs to; 0 for none
    uint16_t container_high;
    uint16_t reserved; ///< zero
};

static_assert(sizeof(struct pc_event_header) == 96, "wire layout");
static_assert(offsetof(struct pc_event_header, kind) == 4, "wire layout");
static_assert(offsetof(struct pc_event_header, flags) == 8, "wire layout");
static_assert(offsetof(struct pc_event_header, rule_id) == 12, "wire layout");
static_assert(offsetof(struct pc_event_header, generation) == 16, "wire layout");
static_assert(offsetof(struct pc_event_header, wall_ns) == 24, "wire layout");
static_assert(offsetof(struct pc_event_header, sequence) == 32, "wire layout");
static_assert(offsetof(struct pc_event_header, host_pid) == 40, "wire layout");
static_assert(offsetof(struct pc_event_header, uid) == 52, "wire layout");
static_assert(offsetof(struct pc_event_header, syscall_nr) == 60, "wire layout");
static_assert(offsetof(struct pc_event_header, notice_code) == 68, "wire layout");
static_assert(offsetof(struct pc_event_header, length) == PC_EVENT_LENGTH_OFFSET, "wire layout");
static_assert(offsetof(struct pc_event_header, container_low) == 90, "wire layout");
