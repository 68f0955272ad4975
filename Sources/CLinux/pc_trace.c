#include "pc_trace.h"

#include <errno.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc's <sys/ptrace.h> and <linux/ptrace.h> do not go together; the call itself takes what the kernel's header names.
static int trace(long request, int32_t thread, unsigned long data) {
    return syscall(SYS_ptrace, request, (long)thread, 0L, data) < 0 ? -errno : 0;
}

int pc_trace_begin(int32_t thread) {
    return trace(PTRACE_SEIZE, thread, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
}

int pc_trace_interrupt(int32_t thread) { return trace(PTRACE_INTERRUPT, thread, 0); }

int pc_trace_wait(int32_t *thread, int *stop_signal) {
    int status = 0;
    pid_t found;
    // Whatever its number is: a thread that executes a program takes on that of its process. Not those of other threads of ours.
    do
        found = waitpid(-1, &status, __WALL | __WNOTHREAD);
    while (found < 0 && errno == EINTR);
    *thread = found;
    *stop_signal = 0;
    if (found < 0 || !WIFSTOPPED(status))
        return PC_TRACE_GONE;
    int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC)
        return PC_TRACE_EXECUTED;
    if (event == 0)
        *stop_signal = WSTOPSIG(status);
    return PC_TRACE_OTHER;
}

int pc_trace_end(int32_t thread, int stop_signal) {
    int result = trace(PTRACE_DETACH, thread, (unsigned long)stop_signal);
    // Killed meanwhile: it stays ours, and its parent does not hear of its end, until we do.
    if (result == -ESRCH)
        while (waitpid(thread, NULL, __WALL | __WNOTHREAD) < 0 && errno == EINTR)
            ;
    return result;
}
