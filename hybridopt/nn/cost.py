"""How many settings a gradient rule would take, without running any."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from hybridopt.gradients import Evaluation, GradientRule
from hybridopt.nn.evaluation import CircuitEvaluation


class _Count(Evaluation):
    """An evaluation that counts what it is asked for, and answers 0."""

    def __init__(self, evaluation: CircuitEvaluation) -> None:
        self.program = evaluation.program
        self.readout = evaluation.readout
        self.executor = evaluation.executor
        self.cells = 0

    def __call__(
        self, rows: Float64[Tensor, "B R"], shared: Float64[Tensor, "S O"]
    ) -> Float64[Tensor, "S B K"]:
        self.cells += len(rows) * len(shared)
        outputs = self.readout.num_outputs(self.program)
        return torch.zeros(len(shared), len(rows), outputs, dtype=torch.float64)


def evaluations_a_sample(
    evaluation: CircuitEvaluation, rule: GradientRule, needs: tuple[bool, bool]
) -> int:
    """Circuits with other angles that the derivative takes beside the forward one, for a sample.

    Args:
        evaluation: What is differentiated.
        rule: How; one that keeps the forward run for its derivative, as the adjoint rule does,
            takes none.
        needs: Whether derivatives by the sample's own angles and by the shared ones are wanted.
    """
    if not any(needs) or rule.memory(evaluation, needs) is not None:
        return 0
    count = _Count(evaluation)
    rows = torch.zeros(1, evaluation.program.num_row_angles, dtype=torch.float64)
    shared = torch.zeros(1, evaluation.program.num_shared_angles, dtype=torch.float64)
    outputs = evaluation.readout.num_outputs(evaluation.program)
    cotangent = torch.zeros(1, 1, outputs, dtype=torch.float64)
    with torch.no_grad():
        rule.vjp(count, rows, shared, cotangent, needs)
    return count.cells
