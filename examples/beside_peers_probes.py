"""Probes of `beside_peers.py`: each returns a measured value, or raises `Missed`."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from beside_peers_layers import (
    WEIGHT,
    dense,
    dense_states,
    ours,
    pennylane,
    pennylane_circuit,
    pennylane_node,
    qiskit_circuit,
    qml,
    qnn,
    shift,
)
from qiskit_machine_learning.gradients import QFI, LinCombQGT
from qiskit_machine_learning.primitives import QMLEstimator
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

import hybridopt as ho

SAMPLES = 2 * torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
TOLERANCE = 1e-5  # values of order one in single precision
SHOTS, REPETITIONS = 1024, 16

Make = Callable[[], nn.Module]


class Missed(Exception):  # noqa: N818  # a result, not an error
    """Capability not found; the message is the result of the search."""


def close(found: Tensor | None, expected: Tensor, tolerance: float = TOLERANCE) -> float:
    """Return the largest difference of two results; raise `Missed` if it is too large."""
    if found is None:
        raise Missed("no gradient")
    difference = (found.detach().double() - expected.detach().double()).abs().max().item()
    if not difference <= tolerance:
        raise Missed("all zero" if not found.any() else f"off by {difference:.1g}")
    return difference


def agreement(
    make: Make, *, measured: bool = False, batch: int = 4, tolerance: float = TOLERANCE
) -> str:
    layer, x, w = make(), SAMPLES[:batch], WEIGHT.clone().requires_grad_()
    values, expected = layer(x), dense(x, w, measured=measured)
    values.sum().backward()
    expected.sum().backward()
    (weight,) = layer.parameters()
    off = close(values, expected, tolerance), close(weight.grad, w.grad, tolerance)
    return f"{max(off):.0g}"


def layer_before(make: Make) -> str:
    before = nn.Linear(3, 3, dtype=torch.float64)
    expected = copy.deepcopy(before)
    make()(before(SAMPLES)).square().sum().backward()
    dense(expected(SAMPLES), WEIGHT).square().sum().backward()
    return f"{close(before.weight.grad, expected.weight.grad):.0g}"


def hessian(make: Make) -> str:
    layer = make()
    (weight,) = layer.parameters()
    (gradient,) = torch.autograd.grad(layer(SAMPLES).sum(), weight, create_graph=True)
    rows = [torch.autograd.grad(entry, weight, retain_graph=True)[0] for entry in gradient]
    expected = torch.autograd.functional.hessian(lambda w: dense(SAMPLES, w).sum(), WEIGHT)
    return f"{close(torch.stack(rows), expected):.0g}"


def per_sample(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    def of_one(w: Tensor, x: Tensor) -> Tensor:
        return function(w, x).sum()

    weight = WEIGHT + 0.5  # not the weights of the layer
    found = vmap(grad(of_one), in_dims=(None, 0))(weight, SAMPLES)
    expected = torch.autograd.functional.jacobian(lambda w: dense(SAMPLES, w).sum(1), weight)
    return f"{close(found, expected):.0g}"


def functional(make: Make) -> str:
    layer = make()
    ((name, _),) = layer.named_parameters()
    return per_sample(lambda w, x: functional_call(layer, {name: w}, (x,)))


def pennylane_functional(**options: str) -> str:
    node = pennylane_node(**options)
    return per_sample(lambda w, x: torch.stack(node(x, w)))


def shot_noise(make: Make) -> str:
    """Check that gradients of a parity are multiples of 1 / SHOTS with binomial noise."""
    layer = make()
    (weight,) = layer.parameters()
    rows = [torch.autograd.grad(layer(SAMPLES[:1])[0, 0], weight)[0] for _ in range(REPETITIONS)]
    found = torch.stack(rows).double()
    shifts = math.pi / 2 * torch.eye(6, dtype=torch.float64)
    up, down = (
        torch.stack([dense(SAMPLES[:1], WEIGHT + sign * s)[0, 0] for s in shifts])
        for sign in (1, -1)
    )
    deviation = ((2 - up**2 - down**2) / (4 * SHOTS)).sqrt()
    ratio = ((found - (up - down) / 2) / deviation).square().mean().sqrt().item()
    if ratio < 0.1:
        raise Missed("exact")
    if (SHOTS * found - (SHOTS * found).round()).abs().max() > 1e-2:
        raise Missed(f"values that {SHOTS} shots cannot give")
    if abs(ratio - 1) > 5 / math.sqrt(2 * found.numel()):
        raise Missed(f"{ratio:.1f} of the binomial deviation")
    return f"{ratio:.2f} of the binomial deviation"


def batch_gradient(layer: nn.Module) -> None:
    layer(SAMPLES.repeat(4, 1)).sum().backward()


def our_count() -> str:
    layer = ours(executor=ho.AerExecutor(shots=SHOTS))
    batch_gradient(layer)
    usage = layer.executor.usage
    return f"{usage.settings} settings, {usage.shots} shots, {usage.runs} runs"


def pennylane_count() -> str:
    layer = shift(shots=SHOTS)
    with qml.Tracker(layer.qnode.device) as tracker:
        batch_gradient(layer)
    of = tracker.totals
    return f"{of['executions']} executions, {of['shots']} shots, {of['simulations']} simulations"


def qnn_count() -> str:
    layer = qnn()
    batch_gradient(layer)
    network = layer.neural_network
    objects = (layer, network, network.estimator, network.gradient)
    names = {name for thing in objects for name in dir(thing) if not name.startswith("_")}
    found = [name for name in names if re.search("usage|track|count|shots|executions", name)]
    raise Missed(f"only {', '.join(found)}" if found else "none found")


def sources_with(package: str, pattern: str) -> str:
    """Raise `Missed` with the source files of a package that match a pattern."""
    folder = Path(str(find_spec(package).origin)).parent  # type: ignore[union-attr]
    hits = [f.name for f in folder.rglob("*.py") if re.search(pattern, f.read_text("utf-8"))]
    raise Missed(f"see {', '.join(hits)}" if hits else "none found")


def our_series() -> str:
    layer = ours()
    plain = ho.to_classical(layer)
    ran = layer.executor.usage
    found = plain(SAMPLES)
    if layer.executor.usage != ran:
        raise Missed("still runs circuits")
    return f"{close(found, layer(SAMPLES)):.0g}"


def pennylane_series() -> str:
    """Compute the coefficients of one output with `qml.fourier`, and sum the series."""
    layer = pennylane()
    output = lambda x: layer(torch.as_tensor(x))[0].detach().numpy()  # noqa: E731
    c = torch.tensor(np.array(qml.fourier.coefficients(output, 3, 1)))
    orders = torch.tensor([0, 1, -1], dtype=torch.complex128)
    waves = [torch.exp(1j * orders * SAMPLES[:, i : i + 1]) for i in range(3)]
    found = torch.einsum("abc,na,nb,nc->n", c, *waves).real
    difference = close(found, layer(SAMPLES)[:, 0])
    raise Missed(f"no module; qml.fourier.coefficients agrees, {difference:.0g}")


def there_and_back() -> str:
    """Compare weights read from a circuit with the network, before and after its angles change."""
    torch.manual_seed(0)
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    convolution = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    changes = []
    for network in (convolution, nn.LSTM(4, 6), attention):
        quantum, expected = ho.to_quantum(network), network
        for _ in range(2):
            read = ho.to_classical(quantum, readout="circuit").state_dict()
            changes += [close(read[name], w) for name, w in expected.state_dict().items()]
            with torch.no_grad():
                for angles in quantum.parameters():
                    angles.add_(0.1 * torch.randn_like(angles))
            expected = ho.to_classical(quantum)
    return f"{max(changes):.0g}"


def dtypes(make: Make) -> str:
    layer = make()
    for dtype in (torch.float32, torch.float64):
        if (out := layer(SAMPLES.to(dtype)).dtype) != dtype:
            raise Missed(f"{out} from {dtype}".replace("torch.", ""))
    return "float32 and float64"


def copies(make: Make) -> str:
    layer = make()
    twins = (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)))  # noqa: S301  # own data
    return f"{max(close(twin(SAMPLES), layer(SAMPLES)) for twin in twins):.0g}"


def dense_metric() -> Tensor:
    """Return the Fubini-Study metric of the weights at the first sample."""
    of = lambda w: torch.view_as_real(dense_states(SAMPLES[0], w)[:, 0])  # noqa: E731
    slopes = torch.view_as_complex(
        torch.autograd.functional.jacobian(of, WEIGHT).transpose(1, 2).contiguous()
    )
    along = dense_states(SAMPLES[0], WEIGHT)[:, 0].conj() @ slopes
    return (slopes.mH @ slopes - torch.outer(along.conj(), along)).real


def pennylane_metric() -> str:
    of_weights = pennylane_node(lambda weights: pennylane_circuit(SAMPLES[0], weights))
    weight = WEIGHT.clone().requires_grad_()
    return f"{close(qml.adjoint_metric_tensor(of_weights)(weight), dense_metric()):.0g}"


def qnn_metric() -> str:
    circuit, x, w = qiskit_circuit()
    bound = circuit.assign_parameters(dict(zip(x, SAMPLES[0].tolist(), strict=True)))
    fisher = QFI(LinCombQGT(QMLEstimator())).run([bound], [WEIGHT.tolist()], [w]).result().qfis[0]
    return f"{close(torch.tensor(fisher) / 4, dense_metric()):.0g}"
