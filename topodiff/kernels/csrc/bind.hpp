// What the Python faces of the kernels share. Arrays come as addresses: the Python side has checked dtype, contiguity
// and shape, and a tensor's address costs 0.1 us where an array object costs several.
#pragma once
#include <nanobind/nanobind.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernel_table.hpp"
#include "large_pages.hpp"

namespace topodiff {

namespace nb = nanobind;
using i64 = std::int64_t;
using Address = std::uintptr_t;

inline void* at(Address address) { return reinterpret_cast<void*>(address); }

// The table for the instruction set in use, of functions that give the table of one each.
template <class Table>
const Table& in_use(const Table* (*baseline)(), const Table* (*avx2)(), const Table* (*avx512)()) {
  const char* name = active_kernels()->name;
  return *(!std::strcmp(name, "avx512") ? avx512() : !std::strcmp(name, "avx2") ? avx2() : baseline());
}

template <class Kernel, class... Arguments>
auto without_gil(Kernel kernel, Arguments&&... arguments) {
  nb::gil_scoped_release release;
  return kernel(std::forward<Arguments>(arguments)...);
}

[[noreturn]] inline void raise(const Report& report, i64 nnz, const std::string& range) {
  const std::string value = std::to_string(report.value), position = std::to_string(report.position);
  if (report.fault == Fault::index_range)
    throw std::invalid_argument(range + "; got " + value + " at entry " + position);
  throw std::invalid_argument("ptr must rise from 0 to the number of entries, " + std::to_string(nnz) + "; got ptr[" +
                              position + "] = " + value);
}

inline std::string index_range(i64 bound) {
  return bound ? "index must lie in 0.." + std::to_string(bound - 1) : "there are no rows that an index could point to";
}

// kernel(args, report), and what it reports as an error; range() says in words where indices must lie.
template <class Kernel, class Arguments, class Range>
void run_checked(Kernel kernel, const Arguments& args, Range range) {
  Report report{};
  without_gil(kernel, args, &report);
  if (report.fault != Fault::none) raise(report, args.nnz, range());
}

}  // namespace topodiff
