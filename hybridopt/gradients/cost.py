"""Cost of circuits and gradient rules in a training step, computed before a run."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace

import torch

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Cost
from hybridopt.gradients.base import Evaluation, GradientRule, Outputs, Rows, Shared
from hybridopt.gradients.parameter_shift import ParameterShift
from hybridopt.gradients.shifts import shifts_per_cell


class _Count(Evaluation):
    """Evaluation that counts the requested circuits and returns zeros."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.program = evaluation.program
        self.readout = evaluation.readout
        self.executor = evaluation.executor
        self.cells = 0

    def with_program(self, program: CircuitProgram) -> _Count:
        """Return an evaluation of another program with a count of its own."""
        counted = copy.copy(self)
        counted.program, counted.cells = program, 0
        return counted

    def __call__(self, rows: Rows, shared: Shared) -> Outputs:
        self.cells += len(rows) * len(shared)
        outputs = self.readout.num_outputs(self.program)
        return torch.zeros(len(shared), len(rows), outputs, dtype=torch.float64)


def forward_cost(evaluation: Evaluation) -> Cost:
    """Return the cost of the outputs of one sample; each setting counts as one run."""
    return cost_of(evaluation.readout.num_settings, evaluation.executor.shots)


def training_cost(evaluation: Evaluation, rule: GradientRule, needs: tuple[bool, bool]) -> Cost:
    """Return the cost of the outputs of one sample and of their derivative."""
    cost = forward_cost(evaluation)
    if _runs_in_numpy(evaluation, rule):
        cost = replace(cost, runs=0)
    return cost + gradient_cost(evaluation, rule, needs)


def gradient_cost(evaluation: Evaluation, rule: GradientRule, needs: tuple[bool, bool]) -> Cost:
    """Return the cost of one derivative with respect to (row, shared) angles for one sample."""
    cost = forward_cost(evaluation) * gradient_evaluations(evaluation, rule, needs)
    if any(needs) and _keeps_forward_run(evaluation, rule, needs):
        return replace(cost, runs=0 if _runs_in_numpy(evaluation, rule) else 1)
    return cost


def gradient_evaluations(
    evaluation: Evaluation, rule: GradientRule, needs: tuple[bool, bool]
) -> int:
    """Return the number of circuits at other angles for one derivative of one sample.

    A backward run is none, unless it takes the place of shifted circuits.
    """
    if isinstance(rule, ParameterShift):
        return shifts_per_cell(evaluation.program, needs)
    if not any(needs) or _keeps_forward_run(evaluation, rule, needs):
        return 0
    program = evaluation.program
    count = _Count(evaluation)
    rows = torch.zeros(1, program.num_row_angles, dtype=torch.float64)
    shared = torch.zeros(1, program.num_shared_angles, dtype=torch.float64)
    outputs = evaluation.readout.num_outputs(program)
    with torch.no_grad():
        rule.vjp(count, rows, shared, rows.new_zeros(1, 1, outputs), needs)
    return count.cells


def _runs_in_numpy(evaluation: Evaluation, rule: GradientRule) -> bool:
    """Return whether no circuit reaches Aer, as for the adjoint rule with noise."""
    return rule.runs_backward and evaluation.executor.has_noise


def _keeps_forward_run(
    evaluation: Evaluation, rule: GradientRule, needs: tuple[bool, bool]
) -> bool:
    return rule.runs_backward or rule.memory(evaluation, needs) is not None


def cost_of(settings: int, shots: int | None) -> Cost:
    """Return the cost of some settings, counting one run per setting."""
    return Cost(settings, settings * (shots or 0), settings)


def total_cost(costs: Iterable[Cost | None]) -> Cost | None:
    """Return the sum of costs; None if one of them is unknown."""
    known = list(costs)
    return None if None in known else sum(filter(None, known), Cost())
