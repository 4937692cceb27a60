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
from topodiff.complexes.colours import Colours
from topodiff.complexes.incidence import segment_positions
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
        inc = self.K.incidence(rank)
        ptr, entries = _parts(inc.cell_ptr, self.new[rank].first)
        return kernels.gather_reduce(below, self.old[rank - 1].of[inc.face[entries]], ptr)

    def upper_messages(self, rank: int, p: Tensor, q: Tensor | None, activation: str) -> Tensor:
        """As :func:`messages.upper_messages`, (old colours, channels) -> (new colours, channels).

        On the complex of the cofaces of the cells that are computed, with all faces of these.
        """
        inc, first = self.K.incidence(rank + 1), self.new[rank].first
        cells = _distinct(inc.cell_by_face[_parts(inc.face_ptr, first)[1]], inc.num_cells)[0]
        ptr, entries = _parts(inc.cell_ptr, cells)
        faces, number = _distinct(torch.cat([inc.face[entries], first]), inc.num_faces)
        face = number[inc.face[entries]]
        sent = kernels.coface_message(
            kernels.gather(p, self.old[rank].of[faces]),
            None if q is None else kernels.gather(q, self.old[rank + 1].of[cells]),
            face,
            ptr,
            *kernels.sort_by_key(face, len(faces)),
            activation,
        )
        return kernels.gather(sent, number[first])


def _parts(ptr: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """Some segments one after the other: their ptr, and where their entries are."""
    start = ptr[which]
    length = ptr[which + 1] - start
    parts = ptr.new_zeros(len(which) + 1)
    torch.cumsum(length, 0, out=parts[1:])
    return parts, segment_positions(start, length)


def _distinct(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The values that occur, rising, and the number of each value among them."""
    occurs = torch.zeros(size, dtype=torch.bool, device=index.device)
    occurs[index] = True
    return occurs.nonzero().flatten(), occurs.cumsum(0) - 1
