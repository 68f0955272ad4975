#pragma once
#include <stdint.h>

#pragma clang assume_nonnull begin

/// What a traced thread stopped for.
enum pc_trace_stop {
    /// It is no more.
    PC_TRACE_GONE = 0,
    /// It executed a program, whose first instruction is still to come (PTRACE_EVENT_EXEC).
    PC_TRACE_EXECUTED,
    /// Anything else: it is on its way back from a system call, or gets a signal.
    PC_TRACE_OTHER,
};

/// Begins to trace a thread without stopping it (PTRACE_SEIZE): it will stop when it executes a program, and is killed if the
/// calling *thread* ends before. 0 or -errno (EPERM: somebody else traces it, or may not be traced by us).
int pc_trace_begin(int32_t thread);
/// Has the thread stop before its next instruction of user space (PTRACE_INTERRUPT). 0 or -errno.
int pc_trace_interrupt(int32_t thread);
/// Waits for the one thread that the calling thread traces. `thread` is its number by then, which an execution changes; `signal`
/// is what it is about to get, 0 for none. Returns a pc_trace_stop.
int pc_trace_wait(int32_t *thread, int *signal);
/// Lets a stopped thread go on, untraced, with a signal (PTRACE_DETACH); waits for the end of one that was killed. 0 or -errno.
int pc_trace_end(int32_t thread, int signal);

#pragma clang assume_nonnull end
