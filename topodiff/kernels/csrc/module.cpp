// The compiled module: raw buffers in, raw buffers out. It links neither PyTorch nor Python packages.
#include <nanobind/nanobind.h>

namespace topodiff {
void bind_liftings(nanobind::module_&);
}

NB_MODULE(_cpu, m) {
  m.attr("__doc__") = "Compiled CPU kernels of topodiff.";
  topodiff::bind_liftings(m);
}
