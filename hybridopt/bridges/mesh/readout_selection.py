"""Choice of the mesh readout with fewer settings for a batch, and costs of the readouts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.execution import Cost
from hybridopt.gradients.cost import cost_of, gradient_evaluations

READOUTS = ("auto", "process", "data", "reference")


@dataclass(frozen=True)
class Pass:
    """One forward pass of a mesh layer, and the backward pass after it."""

    rows: int  # vectors per mesh; patches for a convolution
    groups: int = 1  # meshes
    trains: bool = True  # derivatives with respect to the angles follow
    input_grad: bool = False  # derivatives with respect to the inputs follow
    known: bool = False  # the matrices at these angles are cached


def cost(reader: MeshReader, readout: str, task: Pass) -> Cost:
    """Return the cost of one pass, forward and backward; each setting counts as one run."""
    evaluation, inputs = reader.evaluation(readout), reader.mesh.num_inputs
    shifts = gradient_evaluations(evaluation, reader.rule, (False, task.trains))
    backward = task.trains and reader.rule.runs_backward

    def number(of_gradient: int) -> int:
        if readout == "process":
            return task.groups * inputs * (of_gradient + (0 if task.known else 1))
        return task.groups * (task.rows * (1 + of_gradient) + (inputs if task.input_grad else 0))

    total = cost_of(number(shifts), reader.executor.shots)
    return replace(total, runs=number(1)) if backward else total


def choose(reader: MeshReader, readout: str, task: Pass) -> str:
    """Return ``"process"``, ``"data"`` or ``"reference"``."""
    if readout != "auto":
        return readout
    data, process = (cost(reader, one, task).settings for one in ("data", "process"))
    return "data" if data < process else "process"


def reason(reader: MeshReader, readout: str, task: Pass) -> str:
    """Return the choice and its reason in a sentence."""
    chosen = choose(reader, readout, task)
    passes = "forward and backward" if task.trains else "forward"
    kinds = ["process", "data"] if readout == "auto" else [chosen]
    counts = ", ".join(
        f"{kind} takes {cost(reader, kind, task).settings:,} settings {passes}" for kind in kinds
    )
    columns = f"the {reader.mesh.num_inputs} columns of the matrix are read for any batch"
    meaning = {
        "process": columns + " (cached at these angles)" * task.known,
        "data": "every vector is loaded and sent through",
        "reference": "every vector is sent through next to reference modes that detect errors",
    }[chosen]
    why = "fewer settings" if readout == "auto" else "set by the option"
    return f"readout {chosen}: {meaning}. Why: {why}; {counts} for {task.rows:,} vectors."
