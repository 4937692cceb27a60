"""Transports of a sheaf along edges, as rotations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from topodiff.plotting.extra import matplotlib, new_figure
from topodiff.plotting.layout import layout
from topodiff.sheaves import CellularSheaf


def rotation_angles(sheaf: CellularSheaf) -> tuple[Tensor, Tensor]:
    """For every edge the angle of ``F_head^T F_tail``, (n_1,), and whether it is a rotation, (n_1,)
    bool, or one with a reflection.

    For stalks of dimension 2 the angle is in (-pi, pi], counterclockwise, for 3 that of the
    rotation about its axis, in [0, pi]. With a reflection it is, for 2, the angle by which the
    first axis is turned and, for 3, that of the rotation after -I. Maps that are not orthogonal
    count as the orthogonal ones next to them (polar decomposition); where these are not unique, as
    next to zero, the angle is NaN.

    Raises:
        ValueError: for stalks of another dimension.
    """
    d = sheaf.stalk_dim
    if d not in (2, 3):
        raise ValueError(f"rotations are drawn for stalks of dimension 2 and 3, got {d}")
    with torch.no_grad():
        maps = sheaf.restriction_matrices(1).double()
        product = maps[1::2].mT @ maps[0::2]
        u, size, v = torch.linalg.svd(product)
        scale = maps.flatten(1).norm(dim=1).reshape(-1, 2).prod(1)
        lost = size[:, -1] <= 10 * torch.finfo(maps.dtype).eps * scale
        turn = u @ v
        proper = torch.linalg.det(turn) > 0
        if d == 2:
            angle = torch.atan2(turn[:, 1, 0], turn[:, 0, 0])
            return angle.masked_fill(lost, torch.nan), proper
        turn = torch.where(proper[:, None, None], turn, -turn)
        skew = turn - turn.mT
        sine = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1).norm(dim=1)
        angle = torch.atan2(sine, turn.diagonal(dim1=1, dim2=2).sum(1) - 1)
        return angle.masked_fill(lost, torch.nan), proper


def draw_rotations(
    sheaf: CellularSheaf, *, positions: Tensor | None = None, seed: int = 0, title: str = ""
) -> Any:
    """Edges coloured by the angles of :func:`rotation_angles`; dashed with a reflection, grey
    where there is no angle.

    For stalks of dimension 2 a needle on each edge shows what becomes of the first axis on the way
    from tail to head.

    Args:
        sheaf: given, or learnt (:func:`topodiff.diagnostics.learned_sheaves`).
        positions, seed: as for :func:`topodiff.plotting.layout`.
        title: above.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for stalks of a dimension other than 2 and 3.
        ImportError: without matplotlib.
    """
    angles, proper = (t.cpu().numpy() for t in rotation_angles(sheaf))
    places = layout(sheaf.complex, positions, seed)
    segments = places[sheaf.complex.edge_index.cpu().numpy()].transpose(1, 0, 2)
    plane = sheaf.stalk_dim == 2
    figure = new_figure(5.5, 4.5)
    axes = figure.add_subplot()
    for kind, style in ((proper, "-"), (~proper, "--")):
        lines = matplotlib("collections").LineCollection(
            segments[kind], linestyles=style, linewidths=2.5, zorder=1
        )
        lines.set_array(angles[kind])
        lines.set_cmap("twilight_shifted" if plane else "viridis")
        lines.set_cmap(lines.get_cmap().with_extremes(bad="0.7"))
        lines.set_clim(-np.pi if plane else 0, np.pi)
        axes.add_collection(lines)
    axes.scatter(*places.T, s=18, color="0.25", zorder=3)
    if plane:
        middle = segments.mean(1)
        axes.quiver(
            *middle.T, np.cos(angles), np.sin(angles), pivot="mid", width=0.004, scale=30, zorder=2
        )
    bar = figure.colorbar(axes.collections[0], ax=axes, shrink=0.8, label="angle of the transport")
    ticks = [-np.pi, 0, np.pi] if plane else [0, np.pi / 2, np.pi]
    bar.set_ticks(ticks, labels=["-π", "0", "π"] if plane else ["0", "π/2", "π"])
    axes.set_aspect("equal")
    axes.margins(0.08)
    axes.set_axis_off()
    axes.set_title(title)
    return figure
