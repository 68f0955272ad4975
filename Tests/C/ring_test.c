// Tests of the event ring in C, to be run plain, under ASan+UBSan and under TSan (scripts/test-c).
// RING_RECORDS = records of the traffic test (default 4 000 000).
#include "ring_test.h"

int main(void) {
    const char *wanted = getenv("RING_RECORDS");
    uint64_t records = wanted ? strtoull(wanted, NULL, 10) : 4000000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(records >= 1000);
    puts("edges");
    test_edges();
    puts("killed in reservation");
    test_killed_in_reservation();
    puts("killed at random");
    test_killed_at_random();
#if !UNDER_TSAN
    puts("every instruction");
    test_every_instruction();
    puts("corruption under the consumer's eyes");
    test_concurrent_corruption(200000);
#endif
    puts("hostile memory");
    test_hostile_memory(UNDER_TSAN ? 300 : 3000);
    puts("two producers on one CPU");
    test_same_cpu(records / 10);
    puts("traffic of processes and threads");
    test_traffic(records);
    puts("ok");
    return 0;
}
