"""The small classical network between the generator's probabilities and the weights."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor, nn

MAPPINGS = ("affine", "tanh")
DEFAULT_WIDTH = 8
LEAST_DEVIATION = 0.1  # probabilities that start almost equal shall not be blown up


class WeightMapping(nn.Module):
    r"""Takes weight ``k`` and its probability to the number that moves or makes the weight.

    The inputs are the bits of ``k`` as -1 and +1, the least significant first, and
    :math:`z_k = (N p_k - 1) / \sigma`. The mean of :math:`N p` is 1; :math:`\sigma` is its
    deviation at the angles of the start and stays, so that shot noise passes linearly. Then
    either one affine map, or a hidden layer of tanh, of a width, and an affine map, which may start
    at zero. The generator draws the numbers, uniformly in :math:`\pm 1 / \sqrt{\text{inputs}}`.
    """

    deviation: Tensor
    bits: Tensor

    def __init__(
        self,
        num_weights: int,
        probabilities: Float64[Tensor, " N"],
        *,
        width: int,
        zero: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        size, device = len(probabilities), probabilities.device
        num_bits = size.bit_length() - 1
        spread = (size * probabilities - 1).square().mean().sqrt()
        self.register_buffer("deviation", spread.clamp(min=LEAST_DEVIATION))
        places = torch.arange(num_weights, device=device)[:, None]
        bits = (places >> torch.arange(num_bits, device=device)) & 1
        self.register_buffer("bits", 2.0 * bits.double() - 1.0, persistent=False)
        inputs = num_bits + 1
        self.hidden = _linear(inputs, width, generator).to(device) if width else None
        self.last = _linear(width or inputs, 1, generator).to(device)
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, probabilities: Float64[Tensor, " N"]) -> Float64[Tensor, " M"]:
        """One number a weight; outputs of zero are -0.0, which alone leaves -0.0 as it is."""
        excess = len(probabilities) * probabilities[: len(self.bits)] - 1.0
        features = torch.cat([self.bits, (excess / self.deviation)[:, None]], dim=1)
        if self.hidden is not None:
            features = torch.tanh(self.hidden(features))
        moves: Float64[Tensor, " M"] = self.last(features)[:, 0]
        return -(0.0 - moves)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer as torch draws it, from a generator of its own."""
    layer = nn.Linear(inputs, outputs, dtype=torch.float64, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer
