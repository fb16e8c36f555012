"""Readout of a mesh from circuits as a torch function, in units of alpha."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Float64
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor
from torch.func import jvp, vjp, vmap

from hybridopt.bridges.mesh.circuit import MeshProgram, mesh_program, num_qubits_of
from hybridopt.bridges.mesh.closed_form import is_formula, mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.readout_cache import Reading
from hybridopt.execution import Executor, Expectations, Probabilities, Readout
from hybridopt.gradients import GradientRule
from hybridopt.gradients.base import differentiable_jvp
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.nn.output_errors import OutputErrors

Feed = str | int
Matrix = Callable[[Tensor], Tensor]  # maps angles to W, differentiable


@dataclass(frozen=True, eq=False)
class MeshReader:
    """Readout of a mesh by an executor; autograd differentiates a closed form without shots."""

    mesh: MeshShape
    executor: Executor
    rule: GradientRule
    errors: OutputErrors | None = None  # record of the variances of the outputs
    training: bool = True  # gradients are submitted with the forward pass

    def matrices(
        self, angles: Float64[Tensor, "S P"], known: Reading | None = None
    ) -> Float64[Tensor, "S m n"]:
        """Return the matrices at S rows of angles t [rad] from n settings each, or from `read`."""
        if is_formula(self.executor):
            return mesh_matrices(self.mesh, angles)
        parts = []
        for feed in self._process_feeds():
            given = None
            if known is not None and f"{feed}/0" in known:
                given = known[f"{feed}/0"], known[f"{feed}/1"]
            parts.append(self._unit_outputs(self._basis_rows(feed, angles), angles, feed, given))
        return torch.cat(parts, dim=1).transpose(1, 2)

    @torch.no_grad()
    def read(self, angles: Float64[Tensor, "S P"]) -> Reading:
        """Run the settings of `matrices`; return shared angles and values of each feed."""
        reading: Reading = {}
        for feed in self._process_feeds():
            values = self.evaluation(feed)(self._basis_rows(feed, angles), -2 * angles)
            reading |= {f"{feed}/0": -2 * angles.detach(), f"{feed}/1": values}
        return reading

    def outputs(
        self, x: Float64[Tensor, "B n"], angles: Float64[Tensor, " P"], feed: Feed = "data"
    ) -> Float64[Tensor, "B m"]:
        """Return W x / alpha from one setting per vector; gradients of x take n more."""
        if is_formula(self.executor):
            return x @ mesh_matrices(self.mesh, angles[None])[0].T
        row_angles, lengths = loader_angles(x.detach())
        values = self._unit_outputs(row_angles, angles[None], feed)[0]

        def matrix(given: Tensor) -> Tensor:
            if feed == "data":
                return self.matrices(given[None])[0]
            eye = torch.eye(self.mesh.num_inputs, dtype=torch.float64, device=given.device)
            row_angles, lengths = loader_angles(eye)
            return (lengths[:, None] * self._unit_outputs(row_angles, given[None], feed)[0]).T

        return with_linear_grad(x, angles, lengths[:, None] * values, matrix)

    def check(self, feed: Feed) -> None:
        """Raise if executor, rule and readout do not fit; check the width before building."""
        num_qubits = num_qubits_of(self.mesh, feed)
        if feed == "reference":
            readout: Readout = Probabilities()
        else:
            readout = Expectations((SparsePauliOp.from_sparse_list([("X", [0], 1.0)], num_qubits),))
        empty = MeshProgram(num_qubits, (), (), (), mesh=self.mesh, feed=feed)
        self.executor.check(empty, readout)
        for one in self._process_feeds() if feed == "process" else (feed,):
            evaluation = self.evaluation(one)
            self.executor.check(evaluation.program, evaluation.readout)
            self.rule.check(evaluation.program, evaluation.readout, self.executor)

    def evaluation(
        self, feed: Feed, known: tuple[Tensor, Tensor] | None = None
    ) -> CircuitEvaluation:
        """Return the circuits for a feed (``"process"`` for its first) as a differentiable map."""
        if feed == "process":
            feed = self._process_feeds()[0]
        chain = getattr(self.executor, "method", None) == "matrix_product_state"
        native = chain or self.executor.lowering == "elementary"
        linear = feed != "reference" and not self.executor.has_noise
        program = mesh_program(self.mesh, feed, native=native, linear=linear)
        readout = Probabilities() if feed == "reference" else mode_amplitudes(self.mesh)
        return CircuitEvaluation(
            program,
            readout,
            self.executor,
            self.rule,
            known,
            errors=self.errors,
            training=self.training,
        )

    def _unit_outputs(
        self,
        rows: Float64[Tensor, "B R"],
        angles: Float64[Tensor, "S P"],
        feed: Feed,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Float64[Tensor, "S B m"]:
        """Return W x / (alpha |x|)."""
        values = self.evaluation(feed, known)(rows, -2 * angles)
        return self._compared(values) if feed == "reference" else values

    def _compared(self, probabilities: Float64[Tensor, "S B K"]) -> Float64[Tensor, "S B m"]:
        """Return references minus outputs, given one excitation; 0 if it was never measured.

        Corrected probabilities can be negative. Their ratios are limited to those of probabilities.
        """
        mesh = self.mesh
        one = probabilities[..., [1 << k for k in range(num_qubits_of(mesh, "reference"))]]
        weight = one.sum(-1, keepdim=True)
        measured = weight > 0
        ratios = one / torch.where(measured, weight, 1.0)
        kept = torch.where(measured, ratios, 0.0).clamp(0, 1)
        references, outputs = kept[..., mesh.num_modes :], kept[..., : mesh.num_outputs]
        return math.sqrt(mesh.num_outputs) * (references - outputs)

    def _process_feeds(self) -> tuple[Feed, ...]:
        """Return one feed; with noise one per input, because every gate adds an error."""
        return tuple(range(self.mesh.num_inputs)) if self.executor.has_noise else ("basis",)

    def _basis_rows(self, feed: Feed, angles: Tensor) -> Float64[Tensor, "B R"]:
        if feed != "basis":
            return angles.new_zeros((1, 0))
        eye = torch.eye(self.mesh.num_inputs, dtype=torch.float64, device=angles.device)
        return math.pi / 2 * eye


def loader_angles(
    x: Float64[Tensor, "B n"],
) -> tuple[Float64[Tensor, "B R"], Float64[Tensor, " B"]]:
    """Return row angles ``2 a_k`` [rad] of the loader, R = n - 1, and the lengths |x|."""
    if x.shape[1] == 1:  # no rotation for the sign, so the length is signed
        return x.new_zeros((len(x), 0)), x[:, 0]
    largest = x.abs().amax(dim=1, keepdim=True)
    scaled = x / torch.where(largest > 0, largest, 1.0)
    tails = scaled.square().flip(1).cumsum(1).flip(1).sqrt()  # |x_{k:}|
    rest = torch.cat([tails[:, 1:-1], scaled[:, -1:]], dim=1)  # the last with its sign
    return 2 * torch.atan2(rest, scaled[:, :-1]), largest[:, 0] * tails[:, 0]


@lru_cache(maxsize=256)
def mode_amplitudes(mesh: MeshShape) -> Expectations:
    """Return X on each output, all measured in one setting."""
    return Expectations(
        tuple(
            SparsePauliOp.from_sparse_list([("X", [k], 1.0)], num_qubits=mesh.num_modes)
            for k in range(mesh.num_outputs)
        )
    )


def with_linear_grad(
    x: Float64[Tensor, "B n"],
    angles: Float64[Tensor, " P"],
    outputs: Float64[Tensor, "B m"],
    matrix: Matrix,
) -> Float64[Tensor, "B m"]:
    r"""Return ``outputs`` with the derivative ``matrix(angles)`` with respect to x, read if needed.

    The outputs were computed without autograd, as the loader's angles are singular at zeros of x.
    The result is :math:`y + W(\theta)\,(x - x_0)` at :math:`x_0 = x`, with the constant
    :math:`x_0`. It has all derivatives of the product, and W is read only for those along x.
    """

    def product(zero: Tensor, angles: Tensor) -> Tensor:
        return zero @ matrix(angles).T

    return outputs + linear_in_zero(product, outputs.shape, x - x.detach(), angles)


def linear_in_zero(
    function: Callable[..., Tensor], shape: Sequence[int], zero: Tensor, *others: Tensor
) -> Tensor:
    """Return ``function(zero, *others)``, linear in ``zero``, whose present value is 0.

    The function is evaluated only for derivatives along ``zero``. Those along other arguments are
    linear in ``zero``, too, so they are returned in the same way, to any order and in both modes.
    """
    return cast(Tensor, _LinearInZero.apply(function, shape, zero, *others))  # type: ignore[no-untyped-call]


class _LinearInZero(torch.autograd.Function):
    @staticmethod
    def forward(
        function: Callable[..., Tensor], shape: Sequence[int], zero: Tensor, *others: Tensor
    ) -> Tensor:
        return zero.new_zeros(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.function, ctx.shape, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        zero, *others = ctx.saved_tensors
        function, needs = ctx.function, ctx.needs_input_grad[2:]
        by_zero = None
        if needs[0]:
            by_zero = vjp(lambda z: function(z, *others), zero)[1](cotangents[0])[0]
        by_others: list[Tensor | None] = [None] * len(others)
        for place, other in enumerate(others):
            if needs[1 + place] and torch.is_grad_enabled():

                def pulled(z: Tensor, cotangent: Tensor, *at: Tensor, place: int = place) -> Tensor:
                    found = vjp(_along(function, z, at, place), at[place])[1](cotangent)[0]
                    return cast(Tensor, found)

                by_others[place] = linear_in_zero(pulled, other.shape, zero, cotangents[0], *others)
        return None, None, by_zero, *by_others

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        function, shape = ctx.function, ctx.shape

        def derivative(zero: Tensor, *others: Tensor) -> Tensor:
            along, *directions = tangents[2:]
            total = zero.new_zeros(shape) if along is None else function(along, *others)
            for place, direction in enumerate(directions):
                if direction is not None:

                    def pushed(z: Tensor, step: Tensor, *at: Tensor, place: int = place) -> Tensor:
                        found = jvp(_along(function, z, at, place), (at[place],), (step,))[1]
                        return cast(Tensor, found)

                    total = total + linear_in_zero(pushed, shape, zero, direction, *others)
            return total

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], function: Any, shape: Sequence[int], *tensors: Tensor
    ) -> tuple[Tensor, int]:
        batched = vmap(function, in_dims=tuple(in_dims[2:]))
        return linear_in_zero(batched, (info.batch_size, *shape), *tensors), 0


def _along(
    function: Callable[..., Tensor], zero: Tensor, at: Sequence[Tensor], place: int
) -> Callable[[Tensor], Tensor]:
    """Return the function of the argument ``at[place]`` alone."""
    return lambda other: function(zero, *at[:place], other, *at[place + 1 :])
