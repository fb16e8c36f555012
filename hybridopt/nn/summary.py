"""Plain-text tables of circuits and layers for all modules that run circuits."""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import nn

from hybridopt import _validation
from hybridopt.circuits.counts import GateCount, find_backend
from hybridopt.execution import Cost
from hybridopt.gradients.cost import total_cost
from hybridopt.nn.graph_capture import refuse_graph

COLUMNS = 100
ROOT = "(itself)"  # name of a network that is a single layer
HEADER = ("layer", "kind", "qubits", "angles", "trainable", "settings", "shots", "depth", "2-qubit")
UNKNOWN = "?"
SETTING = "A setting is one circuit with all its angles, measured in one basis."


@dataclass(frozen=True)
class SummaryRow:
    """A row about a circuit or a classical layer."""

    layer: str  # name in the network
    kind: str
    trainable: int  # number of trainable parameters
    qubits: int = 0
    angles: int = 0
    cost: Cost | None = None  # cost of one training step; None if not known
    gates: GateCount | None = None  # None without a circuit

    def cells(self) -> list[str]:
        """Return the row as texts; classical layers have a number of parameters only."""
        name = [self.layer or ROOT, self.kind]
        if self.gates is None:
            return [*name, "", "", f"{self.trainable:,}", "", "", "", ""]
        return [*name, *self.numbers(), f"{self.gates.depth:,}", f"{self.gates.two_qubit:,}"]

    def numbers(self) -> list[str]:
        """Return the columns of the last line."""
        cost = self.cost
        spent = [UNKNOWN] * 2 if cost is None else [f"{cost.settings:,}", f"{cost.shots:,}"]
        return [*(f"{n:,}" for n in (self.qubits, self.angles, self.trainable)), *spent]


SummaryParts = tuple[str, list[SummaryRow], Sequence[str]]  # title, rows and notes


def without_repeats(lines: Sequence[str]) -> list[str]:
    """Return the lines of a plan without sentences of earlier lines, and the word setting defined.

    The definition comes before the last line.
    """
    seen: set[str] = set()
    kept = []
    for line in lines:
        sentences = [one for one in re.split(r"(?<=\.) (?=[A-Z])", line) if one not in seen]
        seen.update(sentences)
        kept.append(" ".join(sentences))
    return [*kept[:-1], SETTING, *kept[-1:]]


class RunsCircuits(ABC):
    """Base class of modules that run circuits: circuits, cost and plan before a run."""

    def __prepare_scriptable__(self) -> NoReturn:
        """Raise UnsupportedError, because TorchScript cannot run circuits; torch calls this."""
        refuse_graph(self, "`torch.jit.script`")

    @abstractmethod
    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """Return all circuits with current angles by layer; ``""`` is the whole module."""

    @abstractmethod
    def step_cost(self, batch_size: int | None = None) -> Cost | None:
        """Return the cost of one forward and backward pass; None if not known.

        Each setting counts as one run, although the simulator may join several in one run.

        Args:
            batch_size: Number of samples; default that of the last forward pass, or 1.
        """

    @abstractmethod
    def explain(self, batch_size: int | None = None) -> str:
        """Return the plan for the runs of a batch, with the reasons.

        A sentence that holds for several lines is in the first of them only.

        Args:
            batch_size: Number of samples; default that of the last forward pass, or 1.
        """

    @abstractmethod
    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        """Return title, rows of circuits and classical layers, and notes of the summary."""

    def summary(self, backend: BackendV2 | str | None = None, batch_size: int | None = None) -> str:
        """Return a table of circuits and classical layers.

        Args:
            backend: Backend for which circuits are transpiled before gates are counted: a
                `BackendV2`, or the name of a fake backend of qiskit-ibm-runtime such as
                ``"fake_brisbane"``. None counts the gates without transpilation.
            batch_size: Number of samples of the training step whose cost is shown.

        Returns:
            Plain text with at most 100 columns; the last row has the sums of the others.

        Raises:
            ArgumentError: If the backend is not known or has too few qubits.
            ResourceError: If a circuit is too long to be transpiled.
        """
        device = find_backend(backend)
        _validation.optional_integer("batch_size", batch_size, minimum=0)
        title, rows, others = self._summary_parts(device, batch_size)
        circuits = [row for row in rows if row.gates is not None]
        samples = "" if batch_size is None else f" of {batch_size:,} samples"
        form = "not transpiled"
        if device is not None:
            form = f"transpiled for {device.name} (level 1, seed 0)"
        unknown = f"; {UNKNOWN}: known after the first forward pass"
        notes = [
            f"settings and shots: one training step{samples}, forward and backward"
            + unknown * any(row.cost is None for row in circuits),
            f"depth and two-qubit gates: {form}",
        ]
        return summary_table(title, rows, [*(notes if circuits else ()), *others])


def summary_table(title: str, rows: Sequence[SummaryRow], notes: Sequence[str]) -> str:
    """Return the table of all rows, and a last line with sums and the largest qubit number."""
    total = SummaryRow(
        "total",
        "",
        sum(row.trainable for row in rows),
        max((row.qubits for row in rows), default=0),
        sum(row.angles for row in rows),
        total_cost(row.cost for row in rows if row.gates is not None),
    )
    from rich.console import Console  # slow to import
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for position, name in enumerate(HEADER):
        left = position < 2
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for cells in (*(row.cells() for row in rows), ["total", "", *total.numbers(), "", ""]):
        table.add_row(*map(Text, cells))
    stream = io.StringIO()
    # in Jupyter rich would display the text and leave the stream empty
    console = Console(file=stream, width=COLUMNS, color_system=None, force_jupyter=False)
    for part in (Text(title), table, *map(Text, notes)):
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def layer_rows(
    network: nn.Module,
    circuits: Mapping[str, SummaryRow],
    made: Collection[str] = (),
    words: str = "",
) -> list[SummaryRow]:
    """Return one row per layer; ``circuits`` replace all layers inside them.

    Layers whose weights are ``made`` elsewhere are marked with ``words``.
    """
    rows: list[SummaryRow] = []
    counted: set[nn.Parameter] = set()
    for name, module in network.named_modules():
        if any(name.startswith(f"{other}.") or not other for other in circuits if other != name):
            continue
        parameters = list(module.parameters(recurse=name in circuits))
        new = set(parameters) - counted
        counted |= new
        if name in circuits:
            rows.append(circuits[name])
            continue
        container = any(True for _ in module.children()) and name not in made
        if container and not module._parameters:
            continue
        trainable = sum(parameter.numel() for parameter in new if parameter.requires_grad)
        kind = type(module).__name__
        if name in made:
            kind += f", {words}"
        elif parameters and not any(parameter.requires_grad for parameter in parameters):
            kind += ", frozen"
        rows.append(SummaryRow(name, kind, trainable))
    return rows
