#include "pc_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/landlock.h, which the C library's headers may be too old for.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_add_rule
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { RULE_PATH_BENEATH = 1 };
#define ACCESS_WRITE_FILE (1ULL << 1)
// REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM.
#define ACCESS_NAMES (0x1FFULL << 4)
// ABI 2 and 3. Without REFER, ABI 1 forbids links and renames between directories in any case.
#define ACCESS_REFER (1ULL << 13)
#define ACCESS_TRUNCATE (1ULL << 14)

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent;
} __attribute__((packed));

static int allow(int ruleset, const char *path, uint64_t access) {
    int directory = open(path, O_PATH | O_CLOEXEC);
    // What is not there needs no rule.
    if (directory < 0)
        return errno == ENOENT ? 0 : -errno;
    struct path_beneath rule = {.allowed_access = access, .parent = directory};
    int result = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
    close(directory);
    return result;
}

int pc_landlock_forbid_changes(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1U);
    if (abi < 0)
        return -errno;
    uint64_t handled = ACCESS_WRITE_FILE | ACCESS_NAMES;
    if (abi >= 2)
        handled |= ACCESS_REFER;
    if (abi >= 3)
        handled |= ACCESS_TRUNCATE;
    // The first member of struct landlock_ruleset_attr; those behind it are zero.
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return -errno;
    // TIOCGPTPEER opens a terminal without a path, and so without a call that is performed.
    int result = allow(ruleset, "/dev/pts", ACCESS_WRITE_FILE);
    if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        result = -errno;
    close(ruleset);
    return result;
}
