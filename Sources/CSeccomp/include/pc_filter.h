#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

enum pc_filter_kind {
    PC_FILTER_ALLOW = 0,
    /// SECCOMP_RET_USER_NOTIF.
    PC_FILTER_NOTIFY = 1,
    /// SECCOMP_RET_ERRNO with `error`.
    PC_FILTER_ERRNO = 2,
};

struct pc_filter_action {
    uint32_t kind;
    uint32_t error;
};

enum pc_filter_relation {
    /// The argument's bits in `mask` are those of `value`.
    PC_FILTER_BITS = 0,
    /// The whole argument is not `value`; `mask` is not looked at.
    PC_FILTER_DIFFERS = 1,
    /// The whole argument is at most `value`.
    PC_FILTER_AT_MOST = 2,
};

struct pc_filter_comparison {
    uint32_t argument;
    uint32_t relation;
    uint64_t mask;
    uint64_t value;
};

struct pc_filter_rule {
    /// A name that libseccomp knows, on whatever architecture.
    const char *_Nullable name;
    struct pc_filter_action action;
    /// A name that an older libseccomp has not: then the rule is left out. The program of known calls refuses the number.
    uint32_t may_be_unknown;
    uint32_t comparison_count;
    struct pc_filter_comparison comparisons[4];
};

/// Builds a program for the native architecture and, where there is one, its 32-bit companion. Calls of any other architecture, and
/// x32's, kill the process. A rule whose call an architecture lacks does not exist there. Writes `struct sock_filter` values
/// to `program` and libseccomp's pseudo code to `text` (-1: not at all). 0 or -errno (-ENOENT: a name nobody knows).
int pc_filter_build(
    const struct pc_filter_rule *rules, uint32_t count, struct pc_filter_action otherwise, int program, int text);

/// The same for the program that knows nothing but names: every call in libseccomp's tables is allowed, any other number
/// gives ENOSYS.
int pc_filter_build_known_calls(int program, int text);

/// The name of a call on an architecture (AUDIT_ARCH_*): 0, or -ENOENT.
int pc_filter_call_name(uint32_t architecture, int number, char *name, uint32_t capacity);

#pragma clang assume_nonnull end
