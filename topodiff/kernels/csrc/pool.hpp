// A small pool of threads. Kernels never depend on how work is split, so results are the same on any number of them.
#pragma once
#include <cstdint>

namespace topodiff {

using Task = void (*)(void* context, std::int64_t part, std::int64_t parts);

// Runs task(context, part, parts) for every part, on at most `threads` threads, and returns when all are done.
// Runs in the calling thread alone where the pool is in use by another thread, and works after a fork.
void run_parts(int threads, std::int64_t parts, Task task, void* context);

}  // namespace topodiff
