"""What happens inside a model: energies along a flow, oversmoothing, oversquashing."""

from topodiff.diagnostics.smoothing import decay_rate, energies_along, mean_average_distance
from topodiff.diagnostics.squashing import effective_resistance, sensitivity

__all__ = [
    "decay_rate",
    "effective_resistance",
    "energies_along",
    "mean_average_distance",
    "sensitivity",
]
