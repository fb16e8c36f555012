"""All parameters of an optimizer read, changed and differentiated as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class FlatParameters:
    """Parameters seen as one float64 vector, in the order in which they were given.

    Vectors are kept in float64 whatever the parameters' own precision, because the equations
    that they enter lose half of their digits to conditioning.

    Args:
        params: Floating-point tensors of any shapes and precisions.
    """

    def __init__(self, params: Sequence[Tensor]) -> None:
        self.params = list(params)
        self.sizes = [p.numel() for p in self.params]
        self.device = self.params[0].device

    @property
    def size(self) -> int:
        """How many numbers the vector has."""
        return sum(self.sizes)

    @property
    def resolution(self) -> float:
        """Relative rounding error of the least precise parameter."""
        return max(torch.finfo(p.dtype).eps for p in self.params)

    def read(self) -> Float64[Tensor, " num_parameters"]:
        """A copy of the parameters."""
        return self.join([p.detach()[None] for p in self.params])[0]

    @torch.no_grad()
    def write(self, vector: Float64[Tensor, " num_parameters"]) -> None:
        """Set the parameters, each rounded to its own precision."""
        for p, piece in zip(self.params, self.split(vector[None]), strict=True):
            p.copy_(piece[0])

    def join(
        self, pieces: Sequence[Float[Tensor, "rows ..."]]
    ) -> Float64[Tensor, "rows num_parameters"]:
        """Lay tensors of the parameters' shapes, each behind an axis of rows, side by side."""
        flattened = [
            piece.reshape(len(piece), size).to(self.device, torch.float64)
            for piece, size in zip(pieces, self.sizes, strict=True)
        ]
        return torch.cat(flattened, dim=1)

    def split(
        self, vectors: Float64[Tensor, "rows num_parameters"]
    ) -> list[Float[Tensor, "rows ..."]]:
        """Undo `join`: pieces of the parameters' shapes, precisions and devices."""
        pieces = torch.split(vectors, self.sizes, dim=1)
        return [
            piece.reshape(len(vectors), *p.shape).to(p.device, p.dtype)
            for p, piece in zip(self.params, pieces, strict=True)
        ]
