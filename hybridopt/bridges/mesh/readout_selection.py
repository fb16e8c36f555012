"""Which readout of a mesh takes fewer settings for a batch, and what each takes."""

from __future__ import annotations

from dataclasses import dataclass

from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.execution import Cost
from hybridopt.gradients.cost import cost_of, gradient_evaluations

READOUTS = ("auto", "process", "data", "reference")


@dataclass(frozen=True)
class Pass:
    """What a layer is asked for in one forward pass, and the backward pass after it."""

    rows: int  # vectors that go through each mesh; for a convolution, patches
    groups: int = 1  # meshes
    trains: bool = True  # derivatives by the angles will be taken
    input_grad: bool = False  # derivatives by the inputs will be taken
    known: bool = False  # the matrices at these angles were read before


def cost(reader: MeshReader, readout: str, task: Pass) -> Cost:
    """Cost of one pass, forward and backward; each setting counts as one run."""
    evaluation, inputs = reader.evaluation(readout), reader.mesh.num_inputs
    back = gradient_evaluations(evaluation, reader.rule, (False, task.trains))
    if readout == "process":
        number = task.groups * inputs * (back + (0 if task.known else 1))
    else:
        number = task.groups * (task.rows * (1 + back) + (inputs if task.input_grad else 0))
    total = cost_of(number, reader.executor.shots)
    if task.trains and not back:  # the run back of the adjoint rule
        total += Cost(runs=task.groups * (inputs if readout == "process" else task.rows))
    return total


def choose(reader: MeshReader, readout: str, task: Pass) -> str:
    """``"process"``, ``"data"`` or ``"reference"``."""
    if readout != "auto":
        return readout
    data, process = (cost(reader, one, task).settings for one in ("data", "process"))
    return "data" if data < process else "process"


def reason(reader: MeshReader, readout: str, task: Pass) -> str:
    """The choice and why, in a sentence."""
    chosen = choose(reader, readout, task)
    passes = "forward and backward" if task.trains else "forward"
    kinds = ["process", "data"] if readout == "auto" else [chosen]
    counts = ", ".join(
        f"{kind} takes {cost(reader, kind, task).settings:,} settings {passes}" for kind in kinds
    )
    meaning = {
        "process": f"the {reader.mesh.num_inputs} columns of the matrix are read, whatever the "
        "batch",
        "data": "every vector is loaded and passes through",
        "reference": "every vector passes through beside reference modes, and outcomes that betray "
        "an error are dropped",
    }[chosen]
    why = "fewer settings" if readout == "auto" else "asked for"
    known = " (read before at these angles)" if task.known and chosen == "process" else ""
    return f"readout {chosen}: {meaning}{known}. Why: {why}; {counts} for {task.rows:,} vectors."
