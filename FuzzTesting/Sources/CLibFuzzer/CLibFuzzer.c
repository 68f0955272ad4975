#include "CLibFuzzer.h"

// The functions come with -sanitize=fuzzer; the target is their header.
