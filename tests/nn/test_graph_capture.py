"""Networks with circuits in torch.compile, torch.export, torch.fx and TorchScript."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

import hybridopt as ho
from hybridopt.bridges import WeightNetwork as Weights
from hybridopt.errors import ConversionError, UnsupportedError
from tests.nn.layers import NAME, layer_of

# raised inside torch
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit"),
    # at any graph break after a tensor with a gradient, with torch (2.13) alone, too
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

# torch 2.5 breaks graphs without texts of ours, and its exporter is older than onnxscript 0.7
reasons = pytest.mark.skipif(
    "reason" not in inspect.signature(torch.compiler.disable).parameters,
    reason="torch gives no reasons for graph breaks",
)
RULES = ("parameter-shift", "adjoint", "spsa")
SOURCES = ("memory", "mesh", "generator", "random-subspace")
CASES = [*RULES, "dressed", *SOURCES, "mesh in series"]


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))


class Head(nn.Module):
    """Network whose forward method continues after the circuit."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.before, self.inner, self.after = nn.Linear(2, 2), inner, nn.LazyLinear(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.inner(torch.tanh(self.before(x))))


def network_of(case: str) -> nn.Module:
    torch.manual_seed(0)
    if case in RULES:
        head = Head(layer_of(NAME, gradient=case).float())
    elif case == "dressed":
        head = Head(ho.DressedCircuit(2, 2, 2, 1))
    elif case in SOURCES:
        head = Head(ho.to_quantum(plain(), case))
    else:
        head = nn.Sequential(plain(), ho.to_quantum(plain(), ho.bridges.Mesh(readout="data")))
    head(torch.rand(1, 2))  # sizes of lazy layers
    return head


def gradients(module: nn.Module, outputs: Tensor) -> list[Tensor]:
    module.zero_grad()
    outputs.square().sum().backward()
    return [p.grad for p in module.parameters() if p.grad is not None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "backend"),
    [("adjoint", "aot_eager"), ("mesh in series", "aot_eager"), *((c, "eager") for c in CASES)],
)
def test_compiled_networks_have_equal_values_and_gradients(case, backend):
    torch._dynamo.reset()
    module, reference = network_of(case), network_of(case)
    compiled, frames = torch.compile(module, backend=backend), []
    for step, batch in enumerate((3, 3, 2, 4, 3, 1, 5, 1, 2)):
        for one in (module, reference):
            one.train(step != 4)
        x = torch.rand(batch, 2)
        found, expected = compiled(x), reference(x)
        torch.testing.assert_close(found, expected)
        if case != "spsa":  # an estimate
            torch.testing.assert_close(gradients(module, found), gradients(reference, expected))
        frames.append(counters["frames"]["total"])
    # once for each mode, for dynamic batches, and for a batch of one, each before and after
    assert frames[-3:] == frames[-3:-2] * 3, frames
    torch._dynamo.reset()


@reasons
def test_compiled_graphs_break_once_at_the_circuit_with_the_reason():
    torch._dynamo.reset()
    explained = torch._dynamo.explain(network_of("adjoint"))(torch.rand(3, 2))
    assert explained.graph_break_count == 1
    assert "to_classical" in explained.break_reasons[0].reason
    assert explained.graph_count == 2
    torch._dynamo.reset()


CAPTURES = {
    "torch.export": lambda module, x: torch.export.export(module, (x,), strict=False),
    "torch.fx": lambda module, x: torch.fx.symbolic_trace(module),
    "torch.jit.script": lambda module, x: torch.jit.script(module),
    "torch.jit.trace": torch.jit.trace,
}


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("case", ["adjoint", "dressed", "memory", "mesh"])
def test_graphs_without_python_are_refused_and_name_to_classical(case, name, aer_calls):
    module, x = network_of(case), torch.rand(3, 2)
    before = len(aer_calls)
    for part in (module, module.inner):
        with pytest.raises(UnsupportedError, match=f"`{name}`.*to_classical"):
            CAPTURES[name](part, x)
    assert len(aer_calls) == before


@reasons
@pytest.mark.parametrize("case", ["adjoint", "memory"])
def test_graphs_without_breaks_name_to_classical(case):
    module, x = network_of(case), torch.rand(3, 2)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="to_classical"):
        torch.compile(module, backend="eager", fullgraph=True)(x)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="to_classical"):
        torch.export.export(module, (x,), strict=True)
    torch._dynamo.reset()


@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(1, 2))])
@pytest.mark.parametrize("bridge", ["memory", "mesh"])
def test_torchscript_is_refused_by_bridges(bridge, make):
    with pytest.raises(ConversionError, match=r"`network`.*TorchScript.*to_classical"):
        ho.to_quantum(make(plain()), bridge)
    with pytest.raises(ConversionError, match=r"TorchScript.*`1`"):
        ho.to_quantum(nn.Sequential(nn.Linear(2, 2), make(plain())), bridge)


def test_forward_methods_keep_their_signature():
    names = [
        list(inspect.signature(kind.forward).parameters) for kind in (ho.CircuitLayer, Weights)
    ]
    assert names == [["self", "x"], ["self", "args", "kwargs"]]


def exported(module: nn.Module, x: Tensor) -> nn.Module:
    batch = ({0: torch.export.Dim("batch", max=1024)},)
    return torch.export.export(module, (x,), dynamic_shapes=batch, strict=False).module()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # constants of the series
@pytest.mark.filterwarnings("ignore:.*(get_attr|lifted_tensor)")  # in the export of torch 2.5
@pytest.mark.parametrize(
    "capture",
    [
        exported,
        pytest.param(
            lambda module, x: torch.fx.symbolic_trace(module), marks=pytest.mark.wrong_types
        ),
        pytest.param(lambda module, x: torch.jit.script(module), marks=pytest.mark.wrong_types),
        torch.jit.trace,
    ],
    ids=["export", "fx", "script", "trace"],
)
@pytest.mark.parametrize("case", ["layer", "dressed", "memory", "mesh"])
def test_classical_forms_are_captured_with_equal_values(case, capture):
    classical, x = ho.to_classical(network_of_series(case)), torch.rand(3, 2)
    graph = capture(classical, x)
    for batch in (x, torch.rand(5, 2)):
        torch.testing.assert_close(graph(batch), classical(batch))


def network_of_series(case: str) -> nn.Module:
    if case != "layer":
        return network_of(case)
    return nn.Sequential(nn.Linear(2, 2), ho.DressedCircuit(2, 2, 2, 1).layer)


@reasons
@pytest.mark.filterwarnings("ignore")  # of the exporter and its packages
@pytest.mark.parametrize("case", ["dressed", "memory"])
def test_onnx_refuses_circuits_and_takes_classical_forms(case, tmp_path):
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    network, x, path = network_of(case), torch.rand(3, 2), tmp_path / "network.onnx"
    with pytest.raises(torch.onnx.errors.OnnxExporterError, match="to_classical"):
        torch.onnx.export(network, (x,), path, dynamo=True, verbose=False)
    classical = ho.to_classical(network)
    torch.onnx.export(classical, (x,), path, dynamo=True, verbose=False)
    session = reference.ReferenceEvaluator(str(path))
    (found,) = session.run(None, {session.input_names[0]: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), classical(x), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_the_older_exporter_of_onnx_refuses_circuits(tmp_path):
    """It traces, so that the refusal does not need the packages of ONNX."""
    with pytest.raises(UnsupportedError, match="to_classical"):
        torch.onnx.export(
            network_of("adjoint"), (torch.rand(1, 2),), tmp_path / "x.onnx", dynamo=False
        )


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr:UserWarning")  # of torch
@pytest.mark.parametrize("case", ["adjoint", "memory", "mesh"])
def test_linearize_names_to_classical(case, aer_calls):
    with pytest.raises(UnsupportedError, match=r"linearize.*to_classical"):
        torch.func.linearize(network_of(case), torch.rand(3, 2))
    output, tangent = torch.func.linearize(ho.to_classical(network_of("memory")), torch.rand(3, 2))
    assert tangent(torch.ones(3, 2)).shape == output.shape
