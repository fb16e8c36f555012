"""The twin: the memory bridge's formula in torch, without a circuit. A control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.bridges.layout import WeightLayout
from hybridopt.bridges.memory import Memory, fold, initial_angles, tensor_scales
from hybridopt.bridges.network import QuantumNetwork
from hybridopt.execution import AerExecutor, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn import ClosedFormSampler, read_cosines


@dataclass(frozen=True)
class Twin:
    """Options of the twin; the same as those of `Memory`, and the same numbers come out.

    Exact to 1e-10 without shots; with shots, numbers of the same distribution.
    """

    name: ClassVar[str] = "twin"

    form: str = "residual"
    scale: str | float | Mapping[str, float] = "auto"
    fold: str | None = None

    def __post_init__(self) -> None:
        Memory(form=self.form, scale=self.scale, fold=self.fold)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> TwinNetwork:
        """Carry a network into the formula; of the executor, shots and seed alone are taken."""
        seed = executor.seed if isinstance(executor, AerExecutor) else None
        return TwinNetwork(network, self, ClosedFormSampler(executor.shots, seed))


class TwinNetwork(QuantumNetwork):
    """A network whose weights are ``w0 - rho sin(delta)`` in torch."""

    bridge_name = Twin.name

    def __init__(self, network: nn.Module, options: Twin, executor: ClosedFormSampler) -> None:
        layout = WeightLayout(network)
        scales = tensor_scales(layout, layout.tensors(network), options.form, options.scale)
        super().__init__(network, scales, keep_origin=options.form == "residual")
        self.options = options
        self.executor = executor
        self.fold_every_epoch = options.fold == "epoch"
        self.angles = nn.Parameter(initial_angles(layout, network, scales, options.form))

    def moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta) by torch, or a sample of what shots would say."""
        if self.executor.shots is None:
            return self.exact_moves()
        return read_cosines(self.angles, self.executor)

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta)."""
        return -torch.sin(self.angles)

    @torch.no_grad()
    def fold(self) -> None:
        """Move the trained weights into ``w0`` and set every angle back to its start."""
        fold(self, self.options.form)
