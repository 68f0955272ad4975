// Verbs that make one system call by its number.

#include "victim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long number(const char *text) { return strtol(text, NULL, 0); }

// NUMBER A0 A1 A2.
int do_syscall(char **a) { return done(syscall(number(a[0]), number(a[1]), number(a[2]), number(a[3]), 0, 0, 0)); }

// The same by the 32-bit entry of a 64-bit process.
int do_int80(char **a) {
#if defined(__x86_64__)
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number(a[0])), "b"(number(a[1])), "c"(number(a[2])), "d"(number(a[3]))
                     : "memory", "r8", "r9", "r10", "r11");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return done(-1);
    }
    return done(result);
#else
    (void)a;
    errno = ENOSYS;
    return done(-1);
#endif
}
