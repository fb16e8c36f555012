"""The command `hybridopt circuits`: what a circuit file holds, and what it costs to run."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hybridopt.circuits import circuit_names, load_circuit
from hybridopt.circuits.loading import circuit_text
from hybridopt.circuits.observable_lines import PROBABILITIES, format_observable
from hybridopt.cli import options
from hybridopt.cli.output import plain_table, print_json
from hybridopt.nn import CircuitLayer

FOLD = 100  # columns of a drawing in text


def show_circuits(
    name_or_file: Annotated[
        str | None,
        typer.Argument(help="A circuit of the gallery, or an OpenQASM 3 file such as `mine.qasm`."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the gallery of circuits; or show one of them, or a file of yours, and how it is run."""
    summary = None if name_or_file is None else summarize(name_or_file)
    if as_json:
        print_json(gallery_dicts() if summary is None else asdict(summary))
    elif summary is None:
        table = plain_table("The gallery of circuits")
        table.add_column("name", no_wrap=True)
        for header in ("qubits", "inputs", "weights"):
            table.add_column(header, justify="right")
        table.add_column("what it is")
        for row in gallery_dicts():
            table.add_row(*(Text(str(value)) for value in row.values()))
        Console().print(table)
    else:
        table = plain_table(summary.name, header=False)
        for word, value in summary.facts():
            table.add_row(Text(word, style="dim"), Text(value))
        Console().print(table)
        Console().print(Text(summary.drawing), soft_wrap=True)


@dataclass(frozen=True)
class CircuitSummary:
    """A circuit file, checked by making a layer of it; the content of ``--json``."""

    name: str
    source: str  # path
    what: str  # from the comment at its head
    origin: str  # the source named there
    num_qubits: int
    inputs: tuple[str, ...]
    weights: tuple[str, ...]
    observables: tuple[str, ...]  # sums of Pauli strings, or "probabilities" alone
    row_angles: int  # that differ from sample to sample, after lowering
    shared_angles: int
    settings: int  # per sample, forward
    gradient_settings: int  # per sample, by the parameter-shift rule, for inputs and weights
    explanation: str
    drawing: str

    def facts(self) -> list[tuple[str, str]]:
        """Return pairs (word, value) for people."""
        facts = [
            ("what", self.what),
            ("source", self.origin),
            ("file", self.source),
            ("qubits", str(self.num_qubits)),
            ("inputs", ", ".join(self.inputs) or "none"),
            ("weights", ", ".join(self.weights) or "none"),
            ("observables", "\n".join(self.observables)),
            ("angles", f"{self.row_angles} of each sample, {self.shared_angles} shared"),
            ("settings a sample", f"{self.settings} forward, {self.gradient_settings} backward"),
            ("how it is run", self.explanation),
        ]
        return [(word, value) for word, value in facts if value]


def summarize(name_or_path: str | os.PathLike[str]) -> CircuitSummary:
    """Return the summary of a circuit of the gallery, or of the user's own file.

    Raises:
        HybridOptError: Whatever keeps the file from being a trainable layer; nothing is run.
    """
    file = circuit_text(name_or_path)
    circuit, inputs, weights, observables = load_circuit(name_or_path)
    layer = CircuitLayer(circuit, inputs, weights, observables)
    program = layer.program
    settings = len(layer.program_readout.settings(program))
    shifts = sum(len(rule) for table in program.shifts for rule in table)
    return CircuitSummary(
        name=file.name,
        source=file.source,
        what=file.what,
        origin=file.origin,
        num_qubits=layer.num_qubits,
        inputs=tuple(parameter.name for parameter in inputs),
        weights=tuple(parameter.name for parameter in weights),
        observables=(PROBABILITIES,)
        if observables is None
        else tuple(map(format_observable, observables)),
        row_angles=program.num_row_angles,
        shared_angles=program.num_shared_angles,
        settings=settings,
        gradient_settings=settings * shifts,
        explanation=layer.explain(),
        drawing=str(circuit.draw("text", fold=FOLD)),
    )


def gallery_dicts() -> list[dict[str, Any]]:
    """Return the gallery for machines, one dict per circuit."""
    result = []
    for name in circuit_names():
        circuit, inputs, weights, _ = load_circuit(name)
        result.append(
            {
                "name": name,
                "num_qubits": circuit.num_qubits,
                "num_inputs": len(inputs),
                "num_weights": len(weights),
                "what": circuit_text(name).what,
            }
        )
    return result
