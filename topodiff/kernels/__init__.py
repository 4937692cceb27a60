"""Arrays in, arrays out: reductions and products over segments and incidences.

Every operation has one name, one gradient and interchangeable implementations: ``reference`` (plain
PyTorch), ``cpu`` (compiled), ``triton`` (GPUs) and, where installed, ``torch_scatter``. Choose
with ``with kernels.use(name)`` or the environment variable ``TOPODIFF_KERNELS``.
"""

from topodiff.kernels import backend, cpu, reference, torch_scatter, triton
from topodiff.kernels.activations import ACTIVATIONS, SQUASHES
from topodiff.kernels.attention import edge_attention, edge_dot
from topodiff.kernels.backend import active, available, use, why_unavailable
from topodiff.kernels.cpu import instruction_set
from topodiff.kernels.diffusion_step import diffusion_step
from topodiff.kernels.edge_blocks import edge_blocks
from topodiff.kernels.expansion import chebyshev_sum
from topodiff.kernels.messages import coface_message, gather_reduce, incidence_matmul
from topodiff.kernels.norm import Norm, norm_activation, norm_linear
from topodiff.kernels.refine import refine_colours
from topodiff.kernels.rotations import cayley, reflections, rotation
from topodiff.kernels.segments import (
    gather,
    scatter_reduce,
    segment_reduce,
    segment_softmax,
    sort_by_key,
)
from topodiff.kernels.select import select_segments
from topodiff.kernels.sheaf import block_matmul, sheaf_matmul, small_matmul
from topodiff.kernels.step import draw_seed, dropout, oscillator, residual
from topodiff.kernels.transports import transports
from topodiff.kernels.vertex_linear import pair_linear, stalk_linear
from topodiff.kernels.weights import segment_weights

backend.register("reference", reference.load)
backend.register("cpu", cpu.load)
backend.register("triton", triton.load)
backend.register("torch_scatter", torch_scatter.load)
backend.start_from_environment()

__all__ = [
    "ACTIVATIONS",
    "SQUASHES",
    "Norm",
    "active",
    "available",
    "block_matmul",
    "cayley",
    "chebyshev_sum",
    "coface_message",
    "diffusion_step",
    "draw_seed",
    "dropout",
    "edge_attention",
    "edge_blocks",
    "edge_dot",
    "gather",
    "gather_reduce",
    "incidence_matmul",
    "instruction_set",
    "norm_activation",
    "norm_linear",
    "oscillator",
    "pair_linear",
    "refine_colours",
    "reflections",
    "residual",
    "rotation",
    "scatter_reduce",
    "segment_reduce",
    "segment_softmax",
    "segment_weights",
    "select_segments",
    "sheaf_matmul",
    "small_matmul",
    "sort_by_key",
    "stalk_linear",
    "transports",
    "use",
    "why_unavailable",
]
