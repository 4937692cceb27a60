"""Pictures, with matplotlib (the extra ``plot``): figures are returned, and never shown.

Save one with ``figure.savefig(path)``, an animation with ``animation.save(path, writer="pillow")``.
"""

from topodiff.plotting.complex import draw_complex
from topodiff.plotting.curves import draw_energies
from topodiff.plotting.extra import available
from topodiff.plotting.flow import animate_flow, draw_flow
from topodiff.plotting.layout import layout
from topodiff.plotting.parity import parity_plot
from topodiff.plotting.sheaf import draw_rotations, rotation_angles
from topodiff.plotting.spectrum import draw_spectrum

__all__ = [
    "animate_flow",
    "available",
    "draw_complex",
    "draw_energies",
    "draw_flow",
    "draw_rotations",
    "draw_spectrum",
    "layout",
    "parity_plot",
    "rotation_angles",
]
