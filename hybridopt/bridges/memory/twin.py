"""The memory bridge's formula in torch, without a circuit."""

from __future__ import annotations

from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.bridges.memory.cosine_network import CosineNetwork, CosineOptions
from hybridopt.bridges.memory.readout import ClosedFormSampler


class TwinNetwork(CosineNetwork):
    """A network whose weights are ``w0 - rho sin(delta)`` in torch.

    Args:
        network: The plain network.
        options: Of the memory bridge that it stands beside.
        executor: Samples as that bridge's circuit would, or is exact.
    """

    bridge_name = "twin"
    executor: ClosedFormSampler

    def __init__(
        self, network: nn.Module, options: CosineOptions, executor: ClosedFormSampler
    ) -> None:
        super().__init__(network, options, executor)

    @property
    def reader(self) -> ClosedFormSampler:
        """The closed form, or samples of it."""
        return self.executor

    def moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta) by torch, or a sample of what shots would say."""
        return self.exact_moves() if self.executor.shots is None else super().moves()
