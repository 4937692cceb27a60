"""Operations made of others, which run on whatever implementation is chosen for them."""

from __future__ import annotations

from torch import Tensor

from topodiff.kernels.backend import select


def diffusion_step(
    x: Tensor, left: Tensor | None, right: Tensor | None, diagonal: Tensor | None, blocks: Tensor,
    face: Tensor, face_ptr: Tensor, by_face: Tensor, factor: Tensor, activation: str, p: float,
    seed: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The result, and what the linear maps and the Laplacian make of the state on the way to it."""
    y = select("stalk_linear", x)(x, left, right, p, seed)
    z = select("block_matmul", x)(y, diagonal, blocks, face, face_ptr, by_face)
    return select("residual", x)(x, z, factor, activation), y, z


OPERATIONS = (diffusion_step,)
