"""Draw every circuit of this folder, and write the table and the pictures into the README.

Run `python circuits/draw.py` after you add or change a file.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
from PIL import Image

from hybridopt._files import write_text, write_whole
from hybridopt.circuits import circuit_names, load_circuit
from hybridopt.circuits.loading import circuit_text
from hybridopt.circuits.observable_lines import format_observable

FOLDER = Path(__file__).parent
PICTURES = FOLDER / "pictures"
README = FOLDER / "README.md"
BEGIN, END = "<!-- begin: written by draw.py -->", "<!-- end: written by draw.py -->"
FOLD = 20  # columns of gates per line
COLORS = 64  # per picture: a small file with smooth letters


def table_row(name: str) -> str:
    """Return the row of a circuit in the table."""
    circuit, inputs, weights, observables = load_circuit(name)
    file = circuit_text(name)
    read = (
        "probabilities"
        if observables is None
        else ", ".join(f"`{format_observable(observable)}`" for observable in observables)
    )
    cells = (
        f"[{name}.qasm]({name}.qasm)",
        str(circuit.num_qubits),
        str(len(inputs)),
        str(len(weights)),
        read,
        file.what,
        file.origin,
    )
    return f"| {' | '.join(cells)} |"


def draw(name: str) -> Path:
    """Draw a circuit into ``pictures/``."""
    figure = load_circuit(name).circuit.draw("mpl", fold=FOLD, style="iqp", plot_barriers=False)
    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", dpi=110, bbox_inches="tight")
    Image.open(raw).convert("RGB").quantize(COLORS).save(small, format="png", optimize=True)
    return write_whole(PICTURES / f"{name}.png", lambda stream: stream.write(small.getvalue()))


def generated_part(names: list[str]) -> str:
    """Return the table of all circuits, and their pictures, as Markdown."""
    head = (
        "| file | qubits | inputs | weights | observables | description | source |",
        "|---|---|---|---|---|---|---|",
    )
    pictures = (f"### {name}\n\n![The circuit {name}](pictures/{name}.png)" for name in names)
    return "\n".join([*head, *map(table_row, names)]) + "\n\n" + "\n\n".join(pictures)


def main() -> None:
    """Draw all circuits, and rewrite the README between its marks."""
    mpl.use("Agg")
    names = circuit_names()
    for name in names:
        draw(name)
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_text(README, f"{before}{BEGIN}\n{generated_part(names)}\n{END}{after}")


if __name__ == "__main__":
    main()
