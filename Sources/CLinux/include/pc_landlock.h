#pragma once
#include <stdint.h>

/// Forbids the calling thread, and all that it starts, to open files for writing, to truncate them and to make, remove, link and rename
/// names, by Landlock (Linux 5.13); terminals excepted. Needs no_new_privs or CAP_SYS_ADMIN. 0 or -errno (ENOSYS, EOPNOTSUPP: this kernel has none).
int pc_landlock_forbid_changes(void);
