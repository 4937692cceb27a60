// OpenMP is avoided on purpose: a second OpenMP runtime beside PyTorch's would compete with its spinning threads, and
// GNU OpenMP hangs in a forked child (a DataLoader worker) of a parent that has used it.
#include "pool.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define TOPODIFF_HAS_FORK 1
#endif

namespace topodiff {
namespace {

constexpr int kSpins = 64;  // about 5 us: longer than between two kernels of a step, too short to burn a core

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

class Pool {
 public:
  bool run(int threads, std::int64_t parts, Task task, void* context) {
    std::unique_lock<std::mutex> user(in_use_, std::try_to_lock);
    if (!user) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = task;
      context_ = context;
      parts_ = parts;
      next_ = 0;
      helpers_wanted_ = threads - 1;
      while (workers_ < threads - 1) {
        std::thread(&Pool::work, this, generation_.load()).detach();
        ++workers_;
      }
      ++generation_;
    }
    for (int i = 0; i < threads - 1; ++i) wake_.notify_one();
    take_parts();
    for (int i = 0; i < kSpins && active_ != 0; ++i) pause();
    std::unique_lock<std::mutex> lock(mutex_);
    helpers_wanted_ = 0;  // a worker that wakes up late leaves the finished job alone
    idle_.wait(lock, [this] { return active_ == 0; });
    return true;
  }

 private:
  void take_parts() {
    for (std::int64_t part; (part = next_.fetch_add(1)) < parts_;) task_(context_, part, parts_);
  }

  void work(std::uint64_t seen) {
    for (;;) {
      for (int i = 0; i < kSpins && generation_ == seen; ++i) pause();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
        if (helpers_wanted_ == 0) continue;
        --helpers_wanted_;
        ++active_;
      }
      take_parts();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--active_ == 0) idle_.notify_one();
    }
  }

  std::mutex in_use_, mutex_;
  std::condition_variable wake_, idle_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::int64_t> next_{0};
  std::atomic<int> active_{0};
  int workers_ = 0, helpers_wanted_ = 0;
  Task task_ = nullptr;
  void* context_ = nullptr;
  std::int64_t parts_ = 0;
};

// Never deleted: workers may outlive static destructors, and a forked child must not touch its parent's locks.
Pool* pool = nullptr;

void renew_pool() { pool = new Pool; }

Pool* get_pool() {
  static const bool ready = [] {
    renew_pool();
#ifdef TOPODIFF_HAS_FORK
    pthread_atfork(nullptr, nullptr, renew_pool);
#endif
    return true;
  }();
  (void)ready;
  return pool;
}

}  // namespace

void run_parts(int threads, std::int64_t parts, Task task, void* context) {
  if (threads > 1 && parts > 1 && get_pool()->run(threads, parts, task, context)) return;
  for (std::int64_t part = 0; part < parts; ++part) task(context, part, parts);
}

}  // namespace topodiff
