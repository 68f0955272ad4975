#ifndef CLIBFUZZER_H
#define CLIBFUZZER_H

#include <stddef.h>
#include <stdint.h>

// libFuzzer's interface for programs with a main of their own (compiler-rt, include/fuzzer/FuzzerInterface.h).

/// Fuzzes `callback` as the arguments say; returns the exit status.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

/// Changes `size` bytes at `data`, where `capacity` are, as libFuzzer does by itself; returns the new size.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

#endif
