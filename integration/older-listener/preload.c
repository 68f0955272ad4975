// Preloaded into every program of a test's root: seccomp listeners as kernels before the one that brought a flag have them. What is said
// to be missing is fixed when this is compiled: -DWITHOUT_SEND (ADDFD_SEND, Linux 5.14), -DWITHOUT_WAIT (WAIT_KILLABLE_RECV, 5.19),
// -DWITHOUT_WAKE (SYNC_WAKE_UP, 6.6).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long forward(long number, long a, long b, long c, long d, long e, long f) {
    static long (*original)(long, ...);
    if (!original) original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return original(number, a, b, c, d, e, f);
}

static long refuse(void) {
    errno = EINVAL;
    return -1;
}

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
#ifdef WITHOUT_WAIT
    if (number == SYS_seccomp && a[0] == SECCOMP_SET_MODE_FILTER && (a[1] & 0x20)) return refuse();
#endif
    return forward(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int ioctl(int descriptor, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
#ifdef WITHOUT_SEND
    if (request == SECCOMP_IOCTL_NOTIF_ADDFD && (((struct seccomp_notif_addfd *)argument)->flags & 2)) return (int)refuse();
#endif
#ifdef WITHOUT_WAKE
    if (request == SECCOMP_IOW(4, uint64_t)) return (int)refuse();
#endif
    return (int)forward(SYS_ioctl, descriptor, (long)request, (long)argument, 0, 0, 0);
}
