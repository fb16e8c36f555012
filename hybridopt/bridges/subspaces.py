"""Training in a random subspace of the weights: what any K trainable numbers can do. A control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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


@dataclass(frozen=True)
class RandomSubspace(AnyNetworkBridge):
    r"""Options of the random subspace :math:`w = w^0 + P z`, ``P`` fixed, ``z`` trained.

    Attributes:
        num_parameters: K, the trainable numbers; None takes as many as there are weights.
        scale: Length of the columns of ``P``, in units of the weights.
        seed: Of ``P``.

    References:
        Li et al., arXiv:1804.08838.

    Example:
        >>> from hybridopt.bridges import RandomSubspace
        >>> import torch, hybridopt as ho
        >>> control = ho.to_quantum(torch.nn.Linear(3, 2), RandomSubspace(num_parameters=4))
        >>> control.num_trainable, control.circuit() is None
        (4, True)
    """

    name: ClassVar[str] = "random-subspace"

    num_parameters: int | None = None
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _validation.optional_integer("num_parameters", self.num_parameters, minimum=1)
        _validation.real("scale", self.scale, minimum=0, strict=True)
        _validation.integer("seed", self.seed, minimum=0, maximum=2**63 - 1)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Carry a network into the subspace through its present weights; nothing is ever run."""
        layout = ParameterLayout(network)
        weights = layout.num_weights
        size = self.num_parameters or weights
        if size > weights:
            raise ArgumentError(f"num_parameters is {size}, but the network has {weights} weights.")
        if 8 * size * weights > LARGEST_PROJECTION:
            raise ResourceError(
                f"The projection of {weights} weights on {size} numbers needs "
                f"{8 * size * weights / 1e9:.3g} GB. Lower `num_parameters`."
            )
        return WeightNetwork(
            network,
            RandomProjection(weights, size, self.seed),
            options=self,
            layout=layout,
            angles=torch.zeros(size, dtype=torch.float64),
            scales=[self.scale] * len(layout.slots),
        )


class Projection(FormulaSource):
    """A formula that nothing is drawn for, so that its values are exact."""

    caches = False

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """The exact values."""
        return self.exact_values(angles)


class RandomProjection(Projection):
    """The product P z, the columns of P of length 1."""

    bridge_name = RandomSubspace.name
    projection: Tensor

    def __init__(self, num_weights: int, size: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(num_weights, size, generator=generator, dtype=torch.float64)
        self.register_buffer("projection", normal / normal.norm(dim=0))

    def exact_values(self, angles: Angles) -> Values:
        """P z; at the start -0.0, which alone leaves a weight of -0.0 as it is when added."""
        return -(0.0 - self.projection @ angles)


@dataclass(frozen=True)
class WalshSubspace(AnyNetworkBridge):
    r"""Options of the Walsh subspace :math:`w = w^0 + \rho H_K z`, ``z`` trained.

    :math:`H_K` and :math:`\rho` are those of the sparse memory with as many angles, whose weights
    are :math:`w^0 - \rho \sin(H_K z)`: what one reaches and the other does not, the sine did.

    Attributes:
        num_parameters: K, the trainable numbers, from 1 to N, the smallest power of two that is
            the number of weights or more; None takes as many as there are weights.
        scale: As of `Memory`: one number, numbers by name, or ``"auto"``, the root mean square of
            each tensor, at least 0.1.

    Example:
        >>> from hybridopt.bridges import WalshSubspace
        >>> import torch, hybridopt as ho
        >>> control = ho.to_quantum(torch.nn.Linear(3, 2), WalshSubspace(num_parameters=4))
        >>> control.num_trainable, control.circuit() is None
        (4, True)
    """

    name: ClassVar[str] = "walsh-subspace"

    num_parameters: int | None = None
    scale: str | float | Mapping[str, float] = "auto"

    def __post_init__(self) -> None:
        _validation.optional_integer("num_parameters", self.num_parameters, minimum=1)
        check_scale(self.scale)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Carry a network into the subspace through its present weights; nothing is ever run."""
        layout = ParameterLayout(network)
        size = self.num_parameters or layout.num_weights
        return WeightNetwork(
            network,
            WalshProjection(layout.num_weights, size),
            options=self,
            layout=layout,
            angles=torch.zeros(size, dtype=torch.float64),
            scales=tensor_scales(layout, layout.tensors(network), self.scale),
        )


class WalshProjection(Projection):
    """The sum H_K z of K Walsh columns."""

    bridge_name = WalshSubspace.name
    columns: Tensor

    def __init__(self, num_weights: int, size: int) -> None:
        super().__init__()
        self.num_weights = num_weights
        columns = torch.from_numpy(walsh_columns(size, num_weights, "num_parameters"))
        self.register_buffer("columns", columns, persistent=False)

    def exact_values(self, angles: Angles) -> Values:
        """H_K z; at the start -0.0, which alone leaves a weight of -0.0 as it is when added."""
        places = 1 << index_qubits(self.num_weights)
        return -(0.0 - walsh_sum(angles, self.columns, places)[: self.num_weights])
