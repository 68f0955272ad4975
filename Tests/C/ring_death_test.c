// Producers that die, anywhere.
#include "ring_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t random_state = 0x9e3779b97f4a7c15u;

// A process killed between reserve and commit: others are read at once, its whole records stay, the begun one is lost.
void test_killed_in_reservation(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(2, PC_RING_MIN_LANE);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 2, PC_RING_MIN_LANE) == 0);
    struct pc_ring_producer other;
    CHECK(pc_ring_claim(&ring, 1, &other) == 0);
    static struct pc_ring_consumer consumer;
    pc_ring_consumer_open(&ring, &consumer);
    for (uint64_t round = 0; round < 50; round++) {
        int ready[2];
        CHECK(pipe(ready) == 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct pc_ring_producer mine;
            void *room;
            if (pc_ring_claim(&ring, 100 + round, &mine) != 0) _exit(1);
            for (uint64_t i = 1; i <= 3; i++) write_record(&mine, 1, i, 100);
            if (pc_ring_reserve(&mine, 1000, &room) != 0) _exit(1);
            memset(room, 0xee, 500);
            if (write(ready[1], "r", 1) != 1) _exit(1);
            for (;;) pause();
        }
        char byte;
        close(ready[1]);
        CHECK(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        uint64_t lost = 0;
        CHECK(drain(&consumer, &lost) == 3 && lost == 0);
        write_record(&other, 0, round, 200);
        CHECK(drain(&consumer, &lost) == 1 && lost == 0); // not held up by the open reservation
        int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        if (pidfd >= 0) CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == -EBUSY);
        CHECK(kill(child, SIGKILL) == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == 1);
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, pidfd) == 0);
        if (pidfd >= 0) close(pidfd);
        CHECK(drain(&consumer, &lost) == 0 && lost == 1);
    }
    CHECK(consumer.corrupt == 0);
    munmap(mem, size);
}

// Killed anywhere while writing as fast as it can; the next process inherits the lane, nobody reads in between.
void test_killed_at_random(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(1, 64 << 10);
    void *mem = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 1, 64 << 10) == 0);
    static struct pc_ring_consumer consumer;
    pc_ring_consumer_open(&ring, &consumer);
    uint64_t records = 0, lost = 0;
    for (uint64_t round = 0; round < 200; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            struct pc_ring_producer mine;
            uint64_t state = round + 1;
            if (pc_ring_claim(&ring, 100 + round, &mine) != 0) _exit(1);
            for (uint64_t i = 1;; i++) write_record(&mine, 1, i, random_length(&state));
        }
        usleep((useconds_t)(next_random(&random_state) % 2000));
        if (round % 3) records += drain(&consumer, &lost);
        kill(child, SIGKILL);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(pc_ring_abandon(&ring, 100 + round, 9, -1) <= 1);
    }
    records += drain(&consumer, &lost);
    struct pc_ring_stats stats;
    pc_ring_get_stats(&ring, &stats);
    CHECK(stats.claimed == 0 && consumer.corrupt == 0);
    CHECK(stats.attempts == stats.commits + stats.dropped && records == stats.commits && lost == stats.dropped);
    printf("  %llu records, %llu lost in 200 deaths\n", (unsigned long long)records, (unsigned long long)lost);
    munmap(mem, size);
}

#if !UNDER_TSAN // its runtime does not live with a traced child
// Death at every single instruction: a child is stepped through writes, a drop and a release; after each step a copy of
// the region is what its death there would leave.
void test_every_instruction(void) {
    struct pc_ring ring;
    size_t size = pc_ring_size(1, PC_RING_MIN_LANE);
    void *mem = map_shared(size), *copy = map_shared(size);
    CHECK(pc_ring_init(&ring, mem, size, 1, PC_RING_MIN_LANE) == 0);
    static unsigned char bytes[PC_RING_MAX_RECORD];
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct pc_ring_producer mine;
        struct pc_ring_part part[3] = {{bytes, 40}, {bytes, PC_RING_MAX_RECORD}, {bytes, 7000}};
        if (pc_ring_claim(&ring, 5, &mine) != 0 || ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(7);
        fill(bytes, 1, 1, 40);
        for (int i = 0; i < 2; i++) pc_ring_write(&mine, &part[0], 1); // resolves lazily bound functions
        raise(SIGSTOP);
        pc_ring_write(&mine, &part[0], 1);
        fill(bytes, 1, 1, PC_RING_MAX_RECORD);
        pc_ring_write(&mine, &part[1], 1);
        pc_ring_write(&mine, &part[1], 1); // no room
        fill(bytes, 1, 1, 7000);
        pc_ring_write(&mine, &part[2], 1); // crosses the lane's end unless there is no room
        pc_ring_release(&mine);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) {
        printf("  SKIPPED: ptrace is not allowed here (child said %d)\n", WEXITSTATUS(status));
        return;
    }
    uint64_t steps = 0, begun = 0, outcomes[3] = {0}; // losses by death, drops seen, clean
    for (;; steps++) {
        memcpy(copy, mem, size);
        struct pc_ring dead;
        static struct pc_ring_consumer consumer;
        struct pc_ring_stats before, after;
        struct pc_ring_producer heir;
        uint64_t lost = 0;
        CHECK(pc_ring_attach(&dead, copy, size) == 0);
        pc_ring_get_stats(&dead, &before);
        pc_ring_consumer_open(&dead, &consumer);
        CHECK(pc_ring_abandon(&dead, 5, 6, -1) == (before.claimed ? 1 : 0));
        pc_ring_get_stats(&dead, &after);
        CHECK(after.claimed == 0 && after.attempts == before.attempts && after.attempts == after.commits + after.dropped);
        CHECK(after.attempts >= begun);
        begun = after.attempts;
        uint64_t records = drain(&consumer, &lost);
        CHECK(records == after.commits && lost == after.dropped);
        CHECK(pc_ring_claim(&dead, 7, &heir) == 0);
        for (uint64_t i = 1; i <= 20; i++) { // over the end of the lane
            write_record(&heir, 2, i, 2000);
            CHECK(drain(&consumer, &lost) == 1);
        }
        CHECK(lost == after.dropped && consumer.corrupt == 0);
        outcomes[before.dropped + before.commits < after.attempts ? 0 : after.dropped ? 1 : 2]++;
        CHECK(ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) break;
        CHECK(WSTOPSIG(status) == SIGTRAP);
    }
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(begun == 6 && outcomes[0] > 0 && outcomes[1] > 0 && outcomes[2] > 0);
    printf("  %llu instructions: %llu with a record under way\n", (unsigned long long)steps,
           (unsigned long long)outcomes[0]);
    munmap(mem, size);
    munmap(copy, size);
}
#endif
