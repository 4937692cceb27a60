"""What happens inside a model: energies along a flow, oversmoothing, oversquashing, signatures of
cells, the sheaves that it learns and what they separate in the limit; what no model of a kind can
tell apart.

Spectra of operators, also of the attention that a model has learnt, are
``topodiff.operators.eigenvalues``.
"""

from topodiff.diagnostics.colours import colour_refinement, weisfeiler_lehman
from topodiff.diagnostics.learned import learned_sheaves
from topodiff.diagnostics.signature import heat_kernel_signature
from topodiff.diagnostics.smoothing import decay_rate, energies_along, mean_average_distance
from topodiff.diagnostics.squashing import curvature_bound, effective_resistance, sensitivity
from topodiff.sheaves.separation import separates, separation_power

__all__ = [
    "colour_refinement",
    "curvature_bound",
    "decay_rate",
    "effective_resistance",
    "energies_along",
    "heat_kernel_signature",
    "learned_sheaves",
    "mean_average_distance",
    "sensitivity",
    "separates",
    "separation_power",
    "weisfeiler_lehman",
]
