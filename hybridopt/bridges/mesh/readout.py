"""Readout of a mesh from circuits as a torch function, in units of alpha."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Float64
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridopt.bridges.mesh.circuit import MeshProgram, mesh_program, num_qubits_of
from hybridopt.bridges.mesh.closed_form import is_formula, mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.readout_cache import Reading
from hybridopt.execution import Executor, Expectations, Probabilities, Readout
from hybridopt.gradients import GradientRule
from hybridopt.gradients.base import batch_entries, differentiable_jvp
from hybridopt.nn.evaluation import CircuitEvaluation

Feed = str | int
Matrix = Callable[[Tensor], Tensor]  # maps angles to W, differentiable


@dataclass(frozen=True, eq=False)
class MeshReader:
    """Readout of a mesh by an executor; autograd differentiates a closed form without shots."""

    mesh: MeshShape
    executor: Executor
    rule: GradientRule

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
        noisy = self.executor.has_noise
        chain = getattr(self.executor, "method", None) == "matrix_product_state"
        linear = feed != "reference" and not noisy
        program = mesh_program(self.mesh, feed, native=noisy or chain, linear=linear)
        readout = Probabilities() if feed == "reference" else mode_amplitudes(self.mesh)
        return CircuitEvaluation(program, readout, self.executor, self.rule, known)

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
        """Return references minus outputs, given one excitation; 0 if it was never measured."""
        mesh = self.mesh
        one = probabilities[..., [1 << k for k in range(num_qubits_of(mesh, "reference"))]]
        weight = one.sum(-1, keepdim=True)
        kept = one / torch.where(weight > 0, weight, 1.0)
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
    """Return ``outputs`` with the derivative ``matrix(angles)`` with respect to x, read if needed.

    The outputs were computed without autograd, as the loader's angles are singular at zeros of x.
    """
    return cast(Tensor, _WithLinearGrad.apply(x, angles, outputs, matrix))  # type: ignore[no-untyped-call]


class _WithLinearGrad(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, angles: Tensor, outputs: Tensor, matrix: Matrix) -> Tensor:
        return outputs.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, angles, _, ctx.matrix = inputs
        ctx.save_for_backward(x, angles)
        ctx.save_for_forward(x, angles)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        x, angles = ctx.saved_tensors
        needs_x, needs_angles, needs_outputs, _ = ctx.needs_input_grad
        by_x = by_angles = None
        if needs_x:
            w = ctx.matrix(angles)
            by_x = cotangents[0] @ w
            if needs_angles and torch.is_grad_enabled():
                # zero, but its derivative with respect to x is not: outputs hold x as a constant
                zero = cotangents[0].T @ (x - x.detach())
                (by_angles,) = torch.autograd.grad(w, angles, zero, create_graph=True)
        return by_x, by_angles, cotangents[0] if needs_outputs else None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        def derivative(x: Tensor, angles: Tensor) -> Tensor:
            along = torch.zeros((), dtype=x.dtype, device=x.device)
            if tangents[0] is not None:
                along = along + tangents[0] @ ctx.matrix(angles).T
            return along if tangents[2] is None else along + tangents[2]

        return differentiable_jvp(derivative, *ctx.saved_tensors)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        x: Tensor,
        angles: Tensor,
        outputs: Tensor,
        matrix: Matrix,
    ) -> tuple[Tensor, int]:
        entries = batch_entries(info, in_dims[:3], x, angles, outputs)
        return torch.stack([with_linear_grad(a, b, c, matrix) for a, b, c in entries]), 0
