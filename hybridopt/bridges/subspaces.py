"""Controls that train the weights in a linear subspace, without a circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.base import AnyNetworkBridge
from hybridopt.bridges.memory.autograd import walsh_sum
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.bridges.parameter_layout import ParameterLayout, check_scale, tensor_scales
from hybridopt.bridges.weight_network import Angles, FormulaSource, Values, WeightNetwork
from hybridopt.errors import ArgumentError, ResourceError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule

LARGEST_PROJECTION = 4_000_000_000  # bytes


class Projection(FormulaSource):
    """Linear map from K trained numbers to moves; nothing is sampled."""

    caches = False

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return the exact values."""
        return self.exact_values(angles)


class RandomProjection(Projection):
    """Product P z with columns of P of length 1."""

    bridge_name = "random-subspace"
    projection: Tensor

    def __init__(self, num_weights: int, size: int, options: Any) -> None:
        super().__init__()
        if size > num_weights:
            raise ArgumentError(
                f"`num_parameters` must be at most the number of weights, {num_weights} "
                f"(got {size})."
            )
        if 8 * size * num_weights > LARGEST_PROJECTION:
            raise ResourceError(
                f"The projection needs {_validation.memory_text(8 * size * num_weights, up=True)} "
                f"for {num_weights} weights and {size} numbers. Lower `num_parameters`."
            )
        generator = torch.Generator().manual_seed(options.seed)
        normal = torch.randn(num_weights, size, generator=generator, dtype=torch.float64)
        self.register_buffer("projection", normal / normal.norm(dim=0))

    def exact_values(self, angles: Angles) -> Values:
        """Return P z; a zero is -0.0, because adding 0.0 to a weight of -0.0 changes it."""
        return -(0.0 - self.projection @ angles)


class WalshProjection(Projection):
    """Sum H_K z of K Walsh columns."""

    bridge_name = "walsh-subspace"
    columns: Tensor

    def __init__(self, num_weights: int, size: int, options: Any) -> None:
        super().__init__()
        self.num_weights = num_weights
        columns = torch.from_numpy(walsh_columns(size, num_weights, "num_parameters"))
        self.register_buffer("columns", columns, persistent=False)

    def exact_values(self, angles: Angles) -> Values:
        """Return H_K z; a zero is -0.0, because adding 0.0 to a weight of -0.0 changes it."""
        places = 1 << index_qubits(self.num_weights)
        return -(0.0 - walsh_sum(angles, self.columns, places)[: self.num_weights])


class Subspace(AnyNetworkBridge):
    """Control that trains K numbers, which move the weights linearly."""

    num_parameters: int | None
    scale: str | float | Mapping[str, float]
    projection: ClassVar[type[RandomProjection | WalshProjection]]

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Convert a network to a subspace through its present weights; no circuit ever runs."""
        layout = ParameterLayout(network)
        size = self.num_parameters or layout.num_weights
        return WeightNetwork(
            network,
            self.projection(layout.num_weights, size, self),
            options=self,
            layout=layout,
            angles=torch.zeros(size, dtype=torch.float64),
            scales=tensor_scales(layout, layout.tensors(network), self.scale),
        )


@dataclass(frozen=True)
class RandomSubspace(Subspace):
    r"""Options of the random subspace :math:`w = w^0 + P z`, ``P`` fixed, ``z`` trained.

    Attributes:
        num_parameters: Number K of trained numbers; None for one per weight.
        scale: Length of the columns of ``P``, in units of the weights.
        seed: Seed for ``P``.

    References:
        Li et al., arXiv:1804.08838.

    Example:
        >>> from hybridopt.bridges import RandomSubspace
        >>> import torch, hybridopt as ho
        >>> control = ho.to_quantum(torch.nn.Linear(3, 2), RandomSubspace(num_parameters=4))
        >>> control.num_trainable, control.circuit() is None
        (4, True)
    """

    name: ClassVar[str] = RandomProjection.bridge_name
    projection = RandomProjection

    num_parameters: int | None = None
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _validation.optional_integer("num_parameters", self.num_parameters, minimum=1)
        _validation.real("scale", self.scale, minimum=0, strict=True)
        _validation.integer("seed", self.seed, minimum=0, maximum=2**63 - 1)


@dataclass(frozen=True)
class WalshSubspace(Subspace):
    r"""Options of the Walsh subspace :math:`w = w^0 + \rho H_K z`, ``z`` trained.

    :math:`H_K` and :math:`\rho` are those of the sparse memory with the same number of angles. The
    weights of that memory are :math:`w^0 - \rho \sin(H_K z)`, so any difference is due to the sine.

    Attributes:
        num_parameters: Number K of trained numbers, from 1 to N, the smallest power of two that is
            at least the number of weights; None for one per weight.
        scale: Scale :math:`\rho` as in `Memory`: one number, numbers by tensor name, or ``"auto"``,
            the root mean square of each tensor, at least 0.1.

    Example:
        >>> from hybridopt.bridges import WalshSubspace
        >>> import torch, hybridopt as ho
        >>> control = ho.to_quantum(torch.nn.Linear(3, 2), WalshSubspace(num_parameters=4))
        >>> control.num_trainable, control.circuit() is None
        (4, True)
    """

    name: ClassVar[str] = WalshProjection.bridge_name
    projection = WalshProjection

    num_parameters: int | None = None
    scale: str | float | Mapping[str, float] = "auto"

    def __post_init__(self) -> None:
        _validation.optional_integer("num_parameters", self.num_parameters, minimum=1)
        check_scale(self.scale)
