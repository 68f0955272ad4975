#include "pc_capability.h"

#include <errno.h>
#include <stddef.h>
#include <sys/capability.h>

static int read_flag(cap_t state, cap_flag_t flag, uint64_t *out) {
    *out = 0;
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; cap++) {
        cap_flag_value_t value;
        if (cap_get_flag(state, cap, flag, &value) < 0)
            return -errno;
        if (value == CAP_SET)
            *out |= UINT64_C(1) << cap;
    }
    return 0;
}

static int write_flag(cap_t state, cap_flag_t flag, uint64_t mask) {
    for (cap_value_t cap = 0; cap < 64; cap++)
        if ((mask >> cap & 1) && cap_set_flag(state, flag, 1, &cap, CAP_SET) < 0)
            return -errno;
    return 0;
}

int pc_capabilities_get(struct pc_capabilities *out) {
    cap_t state = cap_get_proc();
    if (state == NULL)
        return -errno;
    int result = read_flag(state, CAP_PERMITTED, &out->permitted);
    if (result == 0)
        result = read_flag(state, CAP_EFFECTIVE, &out->effective);
    if (result == 0)
        result = read_flag(state, CAP_INHERITABLE, &out->inheritable);
    cap_free(state);
    return result;
}

int pc_capabilities_set(const struct pc_capabilities *sets) {
    cap_t state = cap_init();
    if (state == NULL)
        return -errno;
    int result = write_flag(state, CAP_PERMITTED, sets->permitted);
    if (result == 0)
        result = write_flag(state, CAP_EFFECTIVE, sets->effective);
    if (result == 0)
        result = write_flag(state, CAP_INHERITABLE, sets->inheritable);
    if (result == 0 && cap_set_proc(state) < 0)
        result = -errno;
    cap_free(state);
    return result;
}

int pc_capabilities_bounding(uint64_t *out) {
    *out = 0;
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; cap++)
        if (cap_get_bound(cap) == 1)
            *out |= UINT64_C(1) << cap;
    return 0;
}

int pc_capabilities_ambient(uint64_t *out) {
    *out = 0;
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; cap++)
        if (cap_get_ambient(cap) == 1)
            *out |= UINT64_C(1) << cap;
    return 0;
}

int pc_capabilities_limit_bounding(uint64_t keep) {
    for (cap_value_t cap = 0; cap < cap_max_bits() && cap < 64; cap++)
        if (!(keep >> cap & 1) && cap_get_bound(cap) == 1 && cap_drop_bound(cap) < 0)
            return -errno;
    return 0;
}

int pc_capabilities_clear_ambient(void) { return cap_reset_ambient() < 0 ? -errno : 0; }

int pc_capability_count(void) { return (int)cap_max_bits(); }
