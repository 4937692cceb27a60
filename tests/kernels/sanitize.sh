#!/bin/sh
# Builds the compiled module with the address and undefined-behaviour sanitizers, beside the working tree, and runs the
# kernel tests on it. Needs GCC or Clang on Linux. Usage: tests/kernels/sanitize.sh [pytest arguments]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${TOPODIFF_SANITIZE_DIR:-$root/build/sanitize}
python=$(python -c 'import sys; print(sys.executable)')
cmake -S "$root" -B "$work/cmake" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTOPODIFF_SANITIZE=ON \
  -DPython_EXECUTABLE="$python" -Dnanobind_DIR="$($python -m nanobind --cmake_dir)" >/dev/null
cmake --build "$work/cmake" -j "${TOPODIFF_BUILD_JOBS:-2}"

# a copy of the package with the sanitized module in place of the usual one
rm -rf "$work/package"
mkdir -p "$work/package"
cp -r "$root/topodiff" "$work/package/"
rm -f "$work"/package/topodiff/kernels/_cpu*.so
cp "$work"/cmake/_cpu*.so "$work/package/topodiff/kernels/"

cd "$root"
# Python itself leaks at exit: leaks are not reported. -s: a report would be lost in pytest's capture.
# Left out are tests of torch.compile and of child processes, which have no sanitized module.
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
  LD_PRELOAD="$(${CXX:-c++} -print-file-name=libasan.so):$(${CXX:-c++} -print-file-name=libubsan.so)" \
  "$python" -c "
import sys
sys.path.insert(0, '$work/package')
# an editable install would come first
sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != 'ScikitBuildRedirectingFinder']
import pytest, topodiff.kernels._cpu as module
assert module.__file__.startswith('$work'), module.__file__
sys.exit(pytest.main(sys.argv[1:]))
" -q -s -p no:cacheprovider tests/kernels -k "not compiles and not opcheck and not variable" "$@"
