"""Tables of circuits and layers, in plain text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from qiskit.providers import BackendV2
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from hybridopt.circuits.counts import GateCount
from hybridopt.execution import Cost

COLUMNS = 100
ROOT = "(itself)"  # the network, where it is a single layer
HEADER = ("layer", "kind", "qubits", "angles", "trainable", "settings", "shots", "depth", "2-qubit")


@dataclass(frozen=True)
class SummaryRow:
    """A circuit, or a layer that stays classical.

    Attributes:
        layer: Its name in the network.
        kind: What it is, in words.
        trainable: Trainable numbers of its own.
        qubits: 0 where there is no circuit.
        angles: Of the circuit.
        cost: Of one training step; None where there is no circuit.
        gates: Of the circuit; None where there is none.
    """

    layer: str
    kind: str
    trainable: int
    qubits: int = 0
    angles: int = 0
    cost: Cost | None = None
    gates: GateCount | None = None

    def cells(self) -> list[str]:
        """What stands in the table; classical layers show what they train, and nothing else."""
        if self.gates is None:
            return [self.layer or ROOT, self.kind, "", "", f"{self.trainable:,}", "", "", "", ""]
        cost = self.cost or Cost()
        numbers = (self.qubits, self.angles, self.trainable)
        gates = (self.gates.depth, self.gates.two_qubit)
        return [
            *(self.layer or ROOT, self.kind),
            *(f"{number:,}" for number in numbers),
            *(f"{number:,}" for number in (cost.settings, cost.shots, *gates)),
        ]


def summary_table(
    title: str, rows: Sequence[SummaryRow], total: SummaryRow, notes: Sequence[str]
) -> str:
    """The table of all rows, and a last line for the whole."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for position, name in enumerate(HEADER):
        left = position < 2
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for row in rows:
        table.add_row(*map(Text, row.cells()))
    sums = (total.qubits, total.angles, total.trainable)
    cost = total.cost or Cost()
    numbers = [f"{number:,}" for number in (*sums, cost.settings, cost.shots)]
    table.add_row(*map(Text, [total.layer, total.kind, *numbers, "", ""]))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=COLUMNS,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,  # there rich would show the text and leave the stream empty
    )
    console.print(Text(title))
    console.print(table)
    for note in notes:
        console.print(Text(note))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def counting_notes(
    rows: Sequence[SummaryRow], batch_size: int | None, backend: BackendV2 | None
) -> list[str]:
    """What the numbers are of; nothing where no circuit has any."""
    if all(row.gates is None for row in rows):
        return []
    samples = "" if batch_size is None else f" of {batch_size:,} samples"
    how = "as it stands" if backend is None else f"transpiled for {backend.name} (level 1, seed 0)"
    return [
        f"settings and shots: of one training step{samples}, forward and backward",
        f"depth and two-qubit gates: of the circuit, {how}",
    ]


def layer_rows(
    network: nn.Module, made: frozenset[str], words: str, skipped: frozenset[str]
) -> list[SummaryRow]:
    """The layers that stay classical, and those whose weights are made elsewhere.

    Args:
        network: All of it.
        made: Names of layers whose weights are made elsewhere.
        words: What is said of these.
        skipped: Names of layers of which nothing that is in them is shown, nor they themselves
            unless they are in ``made``.
    """
    rows = []
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{other}.") for other in skipped)
        container = any(True for _ in module.children()) and name not in made
        if (
            inside
            or (name in skipped and name not in made)
            or (container and not module._parameters)
        ):
            continue
        own = list(module.parameters(recurse=False))
        trainable = sum(parameter.numel() for parameter in own if parameter.requires_grad)
        kind = type(module).__name__
        if name in made:
            kind += f", {words}"
        elif own and not trainable:
            kind += ", frozen"
        rows.append(SummaryRow(name, kind, trainable))
    return rows
