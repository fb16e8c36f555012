"""New heads: seed, width, dtype, and equal outputs of a linear head on every bridge."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError, UnknownNameError
from hybridopt.transfer.heads import HEADS

X = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(8))


def source() -> nn.Sequential:
    torch.manual_seed(6)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 7)).double()


def convolutions() -> nn.Sequential:
    torch.manual_seed(6)
    last = nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=1, groups=2, padding_mode="reflect")
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), last, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("head", ho.bridges.BRIDGES)
def test_bridges_start_as_the_linear_head(head):
    assert head in HEADS
    plain = ho.transfer(source(), num_outputs=3, seed=4)
    carried = ho.transfer(source(), num_outputs=3, head=head, seed=4)
    assert isinstance(carried[2], ho.QuantumNetwork)
    torch.testing.assert_close(carried(X), plain(X), rtol=0, atol=1e-10)
    back = ho.to_classical(carried)
    assert type(back[2]) is nn.Linear
    torch.testing.assert_close(back[2].weight, plain[2].weight, rtol=0, atol=1e-10)


def test_dressed_head_matches_a_dense_state():
    options = {"num_qubits": 3, "depth": 2}
    target = ho.transfer(source(), num_outputs=3, head="dressed", head_options=options)
    head = target[2]
    assert (head.num_qubits, head.depth) == (3, 2)
    assert (head.pre.weight.shape, head.post.weight.shape) == ((3, 4), (3, 3))
    # formula of the docstring with a dense state: H, RY, then CX on neighbours and RY
    angles = (torch.pi / 2) * torch.tanh(head.pre(torch.tanh(source()[0](X))))
    expected = head.post(torch.stack([dense(row, head.layer.weight) for row in angles]))
    torch.testing.assert_close(target(X), expected, rtol=0, atol=1e-10)


def dense(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return <Z> of three qubits; each qubit is an axis of the state, qubit 0 first."""
    state = torch.zeros(2, 2, 2, dtype=torch.float64)
    state[0, 0, 0] = 1
    hadamard = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5
    for q in range(3):
        state = on_qubit(rotation(inputs[q]) @ hadamard, state, q)
    for layer in weights.double().reshape(2, 3):
        for control, flipped in ((0, 1), (1, 2)):
            moved = state.movedim((control, flipped), (0, 1)).clone()
            moved[1] = moved[1].flip(0)
            state = moved.movedim((0, 1), (control, flipped))
        for q in range(3):
            state = on_qubit(rotation(layer[q]), state, q)
    weight = state.square()
    return torch.stack(
        [weight.movedim(q, 0)[0].sum() - weight.movedim(q, 0)[1].sum() for q in range(3)]
    )


def rotation(angle: torch.Tensor) -> torch.Tensor:
    c, s = torch.cos(angle / 2), torch.sin(angle / 2)
    return torch.stack([torch.stack([c, -s]), torch.stack([s, c])])


def on_qubit(gate: torch.Tensor, state: torch.Tensor, q: int) -> torch.Tensor:
    return torch.tensordot(gate, state, dims=([1], [q])).movedim(0, q)


@pytest.mark.parametrize("head", ["linear", "dressed", "memory"])
def test_seed_of_the_head(head):
    network = source()
    state = torch.get_rng_state()
    one, same, other, fresh = (
        ho.transfer(network, num_outputs=3, head=head, seed=s).state_dict() for s in (1, 1, 2, None)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], same[key]) for key in one)
    for another in (other, fresh):
        changed = {key for key in one if not torch.equal(one[key], another[key])}
        assert changed
        assert all(key.startswith("2.") for key in changed)


@pytest.mark.parametrize("head", ["linear", "dressed", "memory"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_of_the_head(head, dtype):
    target = ho.transfer(source().to(dtype), num_outputs=3, head=head)
    assert target(X.to(dtype)).dtype == dtype


def test_head_of_a_convolution():
    network = convolutions()
    images = torch.randn(2, 1, 8, 8)
    target = ho.transfer(network, num_outputs=10)
    new, old = target[2], network[2]
    assert (new.in_channels, new.out_channels) == (4, 10)
    for name in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"):
        assert getattr(new, name) == getattr(old, name)
    assert target(images).shape == (2, 10)
    carried = ho.transfer(network, num_outputs=10, head="memory")
    torch.testing.assert_close(carried(images), target(images))
    with pytest.raises(ConversionError, match=r"`2`.*convolution"):
        ho.transfer(network, head="dressed")
    with pytest.raises(ArgumentError, match=r"`num_outputs`.* 2.* 5"):
        ho.transfer(network, num_outputs=5)
    channels = nn.Sequential(*network[:3], nn.Flatten())
    assert ho.transfer(channels, num_outputs=4)(images).shape == (2, 4 * 3 * 3)


def test_options_reach_the_head():
    assert ho.transfer(source(), head_options={"bias": False})[2].bias is None
    memory = ho.transfer(source(), head="memory", head_options={"bias": False, "form": "full"})[2]
    assert memory.options.form == "full"
    assert memory.num_weights == 4 * 7
    frozen = ho.transfer(source(), head="dressed", head_options={"frozen": True})[2]
    assert not frozen.layer.weight.requires_grad


def test_executor_and_gradient_reach_the_head(aer_calls):
    executor = ho.AerExecutor(shots=64, seed=1)
    memory = ho.transfer(source(), head="memory", executor=executor)[2]
    assert memory.executor is executor
    target = ho.transfer(source(), head="dressed", executor=executor, gradient="spsa")
    assert target[2].layer.executor is executor
    assert target[2].layer.gradient.name == "spsa"
    target(X)
    assert aer_calls
    assert executor.usage.shots == 64 * len(X)


def test_given_head_is_copied():
    own = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    target = ho.transfer(source(), head=own)
    assert target[2] is not own
    torch.testing.assert_close(target(X), own(source()[:2](X)))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"head": "liner"}, UnknownNameError, "'liner'.*'linear'"),
        ({"head": 3}, ArgumentTypeError, "head.* 3"),
        ({"head_options": {"depth": 2}}, UnknownNameError, "head=\"linear\".*'depth'"),
        ({"head": "dressed", "head_options": {"dept": 2}}, UnknownNameError, "'dept'.*'depth'"),
        ({"head": "dressed", "head_options": {"executor": None}}, UnknownNameError, "'executor'"),
        ({"head": "dressed", "head_options": {"depth": 0}}, ArgumentError, "`depth`"),
        ({"head": "memory", "head_options": {"frm": "full"}}, UnknownNameError, "'frm'.*'form'"),
        ({"head_options": {"bias": 1}}, ArgumentTypeError, "`bias`"),
        ({"head_options": ["bias"]}, ArgumentTypeError, "`head_options`"),
        ({"head": nn.Linear(4, 2), "head_options": {"bias": True}}, ArgumentError, "bias.*Linear"),
        ({"executor": "GPU"}, ArgumentTypeError, "`executor`"),
        ({"gradient": "parametershift"}, UnknownNameError, "'parameter-shift'"),
        ({"num_outputs": 0}, ArgumentError, "`num_outputs`.* 0"),
        ({"num_outputs": 2.0}, ArgumentTypeError, "`num_outputs`.* 2.0"),
        ({"seed": -1}, ArgumentError, "`seed`"),
    ],
)
def test_wrong_arguments(arguments, error, message, aer_calls):
    with pytest.raises(error, match=message):
        ho.transfer(source(), **arguments)
    assert aer_calls == []


@pytest.mark.parametrize(
    "head",
    [
        nn.Linear(4, 3),
        nn.Sequential(nn.ReLU(), nn.Linear(4, 3)),
        ho.DressedCircuit(4, 3, 2, 1),
        ho.to_quantum(nn.Linear(4, 3), "memory"),
        ho.to_quantum(nn.Linear(4, 3), "mesh"),
        nn.Conv1d(4, 3, 1),
    ],
    ids=lambda head: type(head).__name__,
)
def test_given_head_must_have_the_requested_outputs(head):
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2))
    with pytest.raises(ArgumentError, match=f"`num_outputs`.* 3.*{type(head).__name__}.* 5"):
        ho.transfer(network, num_outputs=5, head=head)
    for outputs in (3, None):
        assert ho.transfer(network, num_outputs=outputs, head=head) is not None


def test_given_head_must_fit_the_layers_behind_it():
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2), nn.Unflatten(1, (1, 2)))
    with pytest.raises(ConversionError, match=r"`2` \(Unflatten\)"):
        ho.transfer(network, head=nn.Linear(4, 3))
    unknown = nn.Sequential(nn.Linear(4, 4), nn.GLU())  # has an unknown number of outputs
    assert ho.transfer(network, num_outputs=2, head=unknown)(torch.ones(5, 2)).shape == (5, 1, 2)
