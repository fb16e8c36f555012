"""The twin: the memory bridge's formula in torch, without a circuit. A control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.bridges.bridge import Bridge
from hybridopt.bridges.cosine_network import CosineNetwork, check_form, check_scale
from hybridopt.execution import AerExecutor, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn import ClosedFormSampler


@dataclass(frozen=True)
class Twin(Bridge):
    """Options of the twin; the same as those of `Memory`, and the same numbers come out.

    Exact to 1e-10 without shots; with shots, numbers of the same distribution.
    """

    name: ClassVar[str] = "twin"

    form: str = "residual"
    scale: str | float | Mapping[str, float] = "auto"
    fold: str | None = None

    def __post_init__(self) -> None:
        check_form(self.form, self.fold)
        check_scale(self.scale)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> TwinNetwork:
        """Carry a network into the formula; of the executor, shots and seed alone are taken."""
        seed = executor.seed if isinstance(executor, AerExecutor) else None
        return TwinNetwork(network, self, ClosedFormSampler(executor.shots, seed))


class TwinNetwork(CosineNetwork):
    """A network whose weights are ``w0 - rho sin(delta)`` in torch."""

    bridge_name = Twin.name
    executor: ClosedFormSampler

    def __init__(self, network: nn.Module, options: Twin, executor: ClosedFormSampler) -> None:
        super().__init__(network, options, executor)

    @property
    def reader(self) -> ClosedFormSampler:
        """The closed form, or samples of it."""
        return self.executor

    def moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta) by torch, or a sample of what shots would say."""
        return self.exact_moves() if self.executor.shots is None else super().moves()
