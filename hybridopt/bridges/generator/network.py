"""Networks whose weights are made from the probabilities of a small circuit, or of its formula."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.bridges.generator.mapping import WeightMapping
from hybridopt.bridges.generator.statevector import ladder_probabilities
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.readout_cache import LastReading, is_own
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.execution import Metered

Vjp = Callable[[Tensor, Tensor], Tensor]


class GeneratedNetwork(WeightNetwork):
    """A network with weights ``w0 + rho f(bits of k, N p_k)``, whoever finds the p.

    Args:
        network: The plain network.
        executor: Holds the sampling stream.
        scales: One positive number a weight tensor.
        num_angles: P.
        width: Units of the mapping's hidden layer; 0 is the affine map.
        residual: Whether weights are moves away from ``w0``.
        frozen: Whether the angles stay as they were drawn.
        seed: Of the angles and of the mapping.
    """

    executor: Metered

    def __init__(
        self,
        network: nn.Module,
        executor: Metered,
        scales: list[float],
        *,
        num_angles: int,
        width: int,
        residual: bool,
        frozen: bool,
        seed: int,
    ) -> None:
        super().__init__(network, scales, keep_origin=residual)
        self.executor = executor
        self.frozen = frozen
        generator = torch.Generator().manual_seed(seed)
        turns = 2 * torch.rand(num_angles, generator=generator, dtype=torch.float64) - 1
        start = (math.pi * turns).to(next(network.parameters()).device)
        if frozen:
            self.register_buffer("angles", start)
        else:
            self.angles = nn.Parameter(start)
        self.mapping = WeightMapping(
            self.num_weights,
            ladder_probabilities(start[None], self.num_index_qubits)[0],
            width=width,
            zero=residual,
            generator=generator,
        )
        self._last: LastReading[Tensor] = LastReading()  # probabilities

    @property
    def num_index_qubits(self) -> int:
        """m, with ``2^m >= max(M, 2)``."""
        return index_qubits(self.num_weights)

    @abstractmethod
    def read(self) -> Float64[Tensor, " N"]:
        """The probabilities as training sees them, differentiable by the angles."""

    @abstractmethod
    def vjp(
        self, angles: Float64[Tensor, " P"], cotangent: Float64[Tensor, " N"]
    ) -> Float64[Tensor, " P"]:
        """Derivative of the sum of ``cotangent * p`` by the angles, differentiable itself."""

    def moves(self) -> Float64[Tensor, " M"]:
        """The mapping of what is read: afresh in training, else once per change of the angles."""
        return cast(Tensor, self.mapping(self._probabilities()))

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """The mapping of the probabilities by dense algebra."""
        exact = ladder_probabilities(self.angles[None], self.num_index_qubits)[0]
        return cast(Tensor, self.mapping(exact))

    @property
    def has_read(self) -> bool:
        """Whether the next forward pass needs no reading."""
        return bool(self.remembered())

    def remembered(self) -> dict[str, Tensor]:
        """What was read once, if it still holds."""
        known = self._last.recall(self.executor, self.angles) if self._recalls else None
        return {} if known is None else {"probabilities": known}

    def remember(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles."""
        self._last.keep(self.executor, self.angles, read["probabilities"])

    def _probabilities(self) -> Float64[Tensor, " N"]:
        if not self._recalls:
            self._last.forget()
            return self.read()
        known = self._last.recall_or(self.executor, self.angles, self.read)
        if torch.is_grad_enabled() and self.angles.requires_grad:
            return cast(
                Tensor,
                _Recalled.apply(self.angles, known, self.vjp),  # type: ignore[no-untyped-call]
            )
        return known

    @property
    def _recalls(self) -> bool:
        """Whether what was read once may serve again."""
        if not self.frozen:
            return is_own(self.angles) and not self.training
        mapped = torch._C._functorch.is_functorch_wrapped_tensor(self.angles)
        return not (mapped or self.angles.is_meta)


class _Recalled(torch.autograd.Function):
    """Probabilities that were read before; their derivative is read when asked for."""

    @staticmethod
    def forward(angles: Tensor, known: Tensor, vjp: Vjp) -> Tensor:
        return known.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        angles, _, ctx.vjp = inputs
        ctx.save_for_backward(angles)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (angles,) = ctx.saved_tensors
        return ctx.vjp(angles, cotangents[0]), None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], angles: Tensor, known: Tensor, vjp: Vjp
    ) -> tuple[Tensor, None]:
        """Maps go over samples, never over angles that a parameter holds."""
        return cast(Tensor, _Recalled.apply(angles, known, vjp)), None  # type: ignore[no-untyped-call]
