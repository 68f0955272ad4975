#include "pc_filter.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

// Numbers that are tried when the tables are asked what they know; the highest in use is below 500.
#define PC_NUMBERS 1024

#if defined(__x86_64__)
static const uint32_t architectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
#elif defined(__aarch64__)
static const uint32_t architectures[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
#error "no table of architectures"
#endif
#define PC_ARCHITECTURES (sizeof architectures / sizeof *architectures)

static uint32_t code(struct pc_filter_action action) {
    switch (action.kind) {
    case PC_FILTER_NOTIFY: return SCMP_ACT_NOTIFY;
    case PC_FILTER_ERRNO: return SCMP_ACT_ERRNO(action.error);
    default: return SCMP_ACT_ALLOW;
    }
}

static int begin(uint32_t otherwise, scmp_filter_ctx *out) {
    scmp_filter_ctx context = seccomp_init(otherwise);
    if (context == NULL)
        return -ENOMEM;
    int error = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    // A tree of comparisons instead of a list: most calls cost as much as one.
    if (error == 0)
        error = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (unsigned i = 0; error == 0 && i < PC_ARCHITECTURES; i++) {
        error = seccomp_arch_add(context, architectures[i]);
        if (error == -EEXIST)
            error = 0;
    }
    if (error < 0) {
        seccomp_release(context);
        return error;
    }
    *out = context;
    return 0;
}

static int finish(scmp_filter_ctx context, int error, int program, int text) {
    if (error == 0)
        error = seccomp_export_bpf(context, program);
    if (error == 0 && text >= 0)
        error = seccomp_export_pfc(context, text);
    seccomp_release(context);
    return error;
}

static struct scmp_arg_cmp comparison(const struct pc_filter_comparison *one) {
    switch (one->relation) {
    case PC_FILTER_DIFFERS:
        return (struct scmp_arg_cmp){.arg = one->argument, .op = SCMP_CMP_NE, .datum_a = one->value};
    case PC_FILTER_AT_MOST:
        return (struct scmp_arg_cmp){.arg = one->argument, .op = SCMP_CMP_LE, .datum_a = one->value};
    default:
        return (struct scmp_arg_cmp){
            .arg = one->argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = one->mask, .datum_b = one->value};
    }
}

static int add(scmp_filter_ctx context, const struct pc_filter_rule *rule, uint32_t otherwise) {
    if (rule->name == NULL)
        return -EINVAL;
    int number = seccomp_syscall_resolve_name(rule->name);
    if (number == __NR_SCMP_ERROR)
        return rule->may_be_unknown ? 0 : -ENOENT;
    if (code(rule->action) == otherwise)
        return 0;
    struct scmp_arg_cmp comparisons[4];
    for (uint32_t i = 0; i < rule->comparison_count; i++)
        comparisons[i] = comparison(&rule->comparisons[i]);
    int error = seccomp_rule_add_array(context, code(rule->action), number, rule->comparison_count, comparisons);
    // The call exists on none of the architectures.
    return error == -EDOM ? 0 : error;
}

int pc_filter_build(
    const struct pc_filter_rule *rules, uint32_t count, struct pc_filter_action otherwise, int program, int text) {
    scmp_filter_ctx context;
    int error = begin(code(otherwise), &context);
    if (error < 0)
        return error;
    for (uint32_t i = 0; error == 0 && i < count; i++)
        error = rules[i].comparison_count > 4 ? -EINVAL : add(context, &rules[i], code(otherwise));
    return finish(context, error, program, text);
}

int pc_filter_build_known_calls(int program, int text) {
    scmp_filter_ctx context;
    int error = begin(SCMP_ACT_ERRNO(ENOSYS), &context);
    if (error < 0)
        return error;
    for (unsigned i = 0; i < PC_ARCHITECTURES; i++)
        for (int number = 0; error == 0 && number < PC_NUMBERS; number++) {
            char *name = seccomp_syscall_resolve_num_arch(architectures[i], number);
            if (name == NULL)
                continue;
            int native = seccomp_syscall_resolve_name(name);
            free(name);
            error = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, native, 0, NULL);
            if (error == -EDOM)
                error = 0;
        }
    return finish(context, error, program, text);
}

int pc_filter_call_name(uint32_t architecture, int number, char *name, uint32_t capacity) {
    // By number, not by name: a call that can also be made through a multiplexer has a stand-in by its name.
    char *found = seccomp_syscall_resolve_num_arch(architecture, number);
    if (found == NULL)
        return -ENOENT;
    size_t length = strlen(found);
    if (length < capacity)
        memcpy(name, found, length + 1);
    free(found);
    return length < capacity ? 0 : -ENAMETOOLONG;
}
