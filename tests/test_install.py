"""The package works after both kinds of installation, from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[1]
USE = """
import json, sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
import torch
import hybridopt as ho
from hybridopt.circuits import circuit_names

data = ho.load_dataset("iris", seed=0)
network = torch.nn.Linear(4, 3)
quantum = ho.to_quantum(network)
history = ho.fit(quantum, data, epochs=1)
back = ho.to_classical(quantum)
page = files("hybridopt.demo").joinpath("templates/report.html").read_text("utf-8")
gallery = files("hybridopt").joinpath("circuits/gallery/README.md")
circuit = ho.load_circuit("strongly_entangling")
layer = ho.CircuitLayer(*circuit)
json.dump({
    "file": ho.__file__,
    "version": version("hybridopt-qiskit") == ho.__version__,
    "settings": history.cost.settings,
    "class": type(back).__name__,
    "page": "<!doctype html>" in page,
    "gallery": gallery.is_file(),
    "circuits": len(circuit_names()),
    "outputs": list(layer(torch.rand(3, 4)).shape),
    "typed": files("hybridopt").joinpath("py.typed").is_file(),
}, sys.stdout)
"""


def call(*command: object, **options) -> str:
    options = {"capture_output": True, "text": True, "timeout": 300, **options}
    done = subprocess.run([str(part) for part in command], check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def use(python: object, folder: Path, environment: dict[str, str]) -> dict[str, object]:
    """Run the script in ``folder`` without the checkout on its path, and return its output."""
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    return json.loads(call(python, "-c", USE, cwd=folder, env={**clean, **environment}))


def check(found: dict[str, object]) -> None:
    assert found["version"]
    assert found["settings"] == 4 * 2 + 1  # 120 samples in batches of 32, and the evaluation
    assert (found["class"], found["page"], found["typed"]) == ("Linear", True, True)
    assert found["circuits"] == len(list((CHECKOUT / "circuits").glob("*.qasm")))
    assert found["outputs"] == [3, 2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT,
        cwd=folder,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the installed files of the wheel only."""
    folder = tmp_path_factory.mktemp("target")
    call(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
        "--target", folder, wheel, cwd=folder,
    )  # fmt: skip
    return folder


def test_wheel_and_its_command(target, tmp_path):
    found = use(sys.executable, tmp_path, {"PYTHONPATH": str(target)})
    check(found)
    assert Path(str(found["file"])).is_relative_to(target)
    assert found["gallery"]
    shipped = {path.suffix for path in (target / "hybridopt/circuits/gallery").iterdir()}
    assert shipped == {".qasm", ".md"}  # neither pictures nor scripts
    names = {path.name for path in target.iterdir()}
    assert names - {"bin"} == {"hybridopt", "hybridopt_qiskit-0.2.0.dist-info"}
    environment = {**os.environ, "PYTHONPATH": str(target)}
    command = target / "bin" / "hybridopt"
    assert call(command, "--version", cwd=tmp_path, env=environment) == "hybridopt 0.2.0\n"


def test_editable(tmp_path):
    venv = tmp_path / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    # dependencies come from the site-packages of this interpreter as a plain path entry: its .pth
    # files are not read, so that its own editable hybridopt is not found
    (site,) = venv.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    missing = [python, "-c", "from hybridopt import fit"]
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(missing, check=True, cwd=tmp_path, capture_output=True, timeout=60)
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-build-isolation", "--no-index", "--editable", CHECKOUT, cwd=tmp_path,
    )  # fmt: skip
    found = use(python, tmp_path, {})
    check(found)
    assert Path(str(found["file"])) == CHECKOUT / "hybridopt" / "__init__.py"
