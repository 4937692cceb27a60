// The compiled module: raw buffers in, raw buffers out. It links neither PyTorch nor Python packages.
#include <nanobind/nanobind.h>

namespace topodiff {
void bind_kernels(nanobind::module_&);
void bind_norm_linear(nanobind::module_&);
void bind_sheaf(nanobind::module_&);
void bind_small(nanobind::module_&);
void bind_edge_blocks(nanobind::module_&);
void bind_step(nanobind::module_&);
void bind_linear(nanobind::module_&);
void bind_attention(nanobind::module_&);
void bind_expansion(nanobind::module_&);
void bind_refine(nanobind::module_&);
void bind_select(nanobind::module_&);
void bind_liftings(nanobind::module_&);
void bind_molecules(nanobind::module_&);
}

NB_MODULE(_cpu, m) {
  m.attr("__doc__") = "Compiled CPU kernels of topodiff.";
  topodiff::bind_kernels(m);
  topodiff::bind_norm_linear(m);
  topodiff::bind_sheaf(m);
  topodiff::bind_small(m);
  topodiff::bind_edge_blocks(m);
  topodiff::bind_step(m);
  topodiff::bind_linear(m);
  topodiff::bind_attention(m);
  topodiff::bind_expansion(m);
  topodiff::bind_refine(m);
  topodiff::bind_select(m);
  topodiff::bind_liftings(m);
  topodiff::bind_molecules(m);
}
