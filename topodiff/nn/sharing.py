"""One row for all cells of a colour: networks compute once what they would compute often.

Cells of the same colour (complexes.colours) have the same features in every layer. Among the
molecules of a batch there are many: after one round the atoms of ZINC have a tenth, after two half
as many colours as there are atoms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import Colours, colour_rows
from topodiff.nn.activation import Copies


class SharedCells:
    """The cells that one layer sees: it reads a row for every old colour, writes one for every new.

    Args:
        K: the complex.
        old, new: colours of the ranks 0, 1, ...; those of ``new`` refine those of ``old``.
    """

    def __init__(self, K: CellComplex, old: Sequence[Colours], new: Sequence[Colours]) -> None:
        self.K, self.old, self.new = K, old, new

    def own(self, rank: int, x: Tensor) -> Tensor:
        """The rows of the cells themselves: (old colours, channels) -> (new colours, channels)."""
        return kernels.gather(x, self.old[rank].of[self.new[rank].first])

    def copies(self, rank: int, dtype: torch.dtype) -> Copies:
        """How many cells have each of the new colours."""
        of, first = self.new[rank]
        return Copies(torch.bincount(of, minlength=len(first)).to(dtype), len(of))

    def boundary_sum(self, rank: int, below: Tensor) -> Tensor:
        """As :func:`messages.boundary_sum`, (old colours, channels) -> (new colours, channels)."""
        inc, first = self.K.incidence(rank), self.new[rank].first
        ptr, face = kernels.select_segments(inc.cell_ptr, inc.face, first)
        return kernels.gather_reduce(below, self.old[rank - 1].of[face], ptr)

    def upper_messages(self, rank: int, p: Tensor, q: Tensor | None, activation: str) -> Tensor:
        """As :func:`messages.upper_messages`, (old colours, channels) -> (new colours, channels).

        On the complex of the cofaces of the cells that are computed, with all faces of these.
        """
        inc, first = self.K.incidence(rank + 1), self.new[rank].first
        _, cofaces = kernels.select_segments(inc.face_ptr, inc.cell_by_face, first)
        cells = cofaces[colour_rows(cofaces).first]
        ptr, face = kernels.select_segments(inc.cell_ptr, inc.face, cells)
        faces = torch.cat([first, face])
        number, where = colour_rows(faces)  # the cells that are computed come first
        face = number[len(first) :]
        sent = kernels.coface_message(
            kernels.gather(p, self.old[rank].of[faces[where]]),
            None if q is None else kernels.gather(q, self.old[rank + 1].of[cells]),
            face,
            ptr,
            *kernels.sort_by_key(face, len(where)),
            activation,
        )
        return sent[: len(first)]
