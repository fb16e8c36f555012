"""New heads: drawn from a seed, of the width asked for, and linear ones equal in every carrier."""

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


def test_there_are_heads_for_every_bridge():
    assert HEADS[:4] == ("linear", "dressed", "memory", "mesh")
    assert set(HEADS) == {"linear", "dressed", *ho.bridges.BRIDGES}


@pytest.mark.parametrize("head", [head for head in HEADS if head not in ("linear", "dressed")])
def test_carriers_of_a_linear_head_start_as_that_head(head):
    plain = ho.transfer(source(), num_outputs=3, seed=4)
    carried = ho.transfer(source(), num_outputs=3, head=head, seed=4)
    assert isinstance(carried[2], ho.QuantumNetwork)
    torch.testing.assert_close(carried(X), plain(X), rtol=0, atol=1e-10)
    back = ho.to_classical(carried)
    assert type(back[2]) is nn.Linear
    torch.testing.assert_close(back[2].weight, plain[2].weight, rtol=0, atol=1e-10)


def test_a_dressed_head_is_the_dressed_circuit_behind_the_body():
    options = {"num_qubits": 3, "depth": 2}
    target = ho.transfer(source(), num_outputs=3, head="dressed", head_options=options)
    head = target[2]
    assert (head.num_qubits, head.depth) == (3, 2)
    assert (head.pre.weight.shape, head.post.weight.shape) == ((3, 4), (3, 3))
    # the formula of the docstring by a dense state: H, RY, then CX on neighbours and RY
    angles = (torch.pi / 2) * torch.tanh(head.pre(torch.tanh(source()[0](X))))
    expected = head.post(torch.stack([dense(row, head.layer.weight) for row in angles]))
    torch.testing.assert_close(target(X), expected, rtol=0, atol=1e-10)


def dense(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """<Z> of three qubits, each an axis of the state, qubit 0 first."""
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
def test_the_seed_draws_the_head_and_nothing_else(head):
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
def test_computes_in_the_dtype_of_the_layer_before(head, dtype):
    target = ho.transfer(source().to(dtype), num_outputs=3, head=head)
    assert target(X.to(dtype)).dtype == dtype


def test_convolutions_are_followed_by_convolutions():
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


def test_a_head_of_your_own_is_copied():
    own = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    target = ho.transfer(source(), head=own)
    assert target[2] is not own
    torch.testing.assert_close(target(X), own(source()[:2](X)))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"head": "liner"}, UnknownNameError, "Unknown head 'liner'. Did you mean 'linear'"),
        ({"head": 3}, ArgumentTypeError, "head must be given by name, but is 3"),
        ({"head_options": {"depth": 2}}, UnknownNameError, "head=\"linear\" takes no .* 'depth'"),
        ({"head": "dressed", "head_options": {"dept": 2}}, UnknownNameError, "mean 'depth'"),
        ({"head": "dressed", "head_options": {"executor": None}}, UnknownNameError, "'executor'"),
        ({"head": "dressed", "head_options": {"depth": 0}}, ArgumentError, "`depth` must be 1"),
        ({"head": "memory", "head_options": {"frm": "full"}}, UnknownNameError, "mean 'form'"),
        ({"head_options": {"bias": 1}}, ArgumentTypeError, "`bias` must be True or False"),
        ({"head_options": ["bias"]}, ArgumentTypeError, "mapping of options by name"),
        ({"head": nn.Linear(4, 2), "head_options": {"bias": True}}, ArgumentError, "there already"),
        ({"executor": "GPU"}, ArgumentTypeError, "`executor` must be an executor"),
        ({"gradient": "parametershift"}, UnknownNameError, "Did you mean 'parameter-shift'"),
        ({"num_outputs": 0}, ArgumentError, "`num_outputs` must be 1 or more"),
        ({"num_outputs": 2.0}, ArgumentTypeError, "`num_outputs` must be an int"),
        ({"seed": -1}, ArgumentError, "`seed` must be 0 or more"),
    ],
)
def test_refusals(arguments, error, message, aer_calls):
    with pytest.raises(error, match=message):
        ho.transfer(source(), **arguments)
    assert aer_calls == []


def test_refuses_what_cannot_stand_where_a_convolution_was():
    with pytest.raises(ConversionError, match="`2` is a convolution, but a dressed circuit takes"):
        ho.transfer(convolutions(), head="dressed")
    with pytest.raises(ArgumentError, match="`num_outputs` must be a multiple of 2, the groups"):
        ho.transfer(convolutions(), num_outputs=5)


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
def test_a_head_of_your_own_has_the_outputs_that_are_asked_for(head):
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2))
    message = f"`num_outputs` is 5, but the {type(head).__name__} .* has 3 outputs"
    with pytest.raises(ArgumentError, match=message):
        ho.transfer(network, num_outputs=5, head=head)
    for outputs in (3, None):
        assert ho.transfer(network, num_outputs=outputs, head=head) is not None


def test_a_head_of_your_own_must_fit_what_is_behind_it():
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2), nn.Unflatten(1, (1, 2)))
    with pytest.raises(ConversionError, match=r"`2` \(Unflatten\) comes behind"):
        ho.transfer(network, head=nn.Linear(4, 3))
    unknown = nn.Sequential(nn.Linear(4, 4), nn.GLU())  # does not say how many come out
    assert ho.transfer(network, num_outputs=2, head=unknown)(torch.ones(5, 2)).shape == (5, 1, 2)


def test_outputs_of_a_convolution_are_channels():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())
    assert ho.transfer(network, num_outputs=3)(torch.ones(5, 1, 8, 8)).shape == (5, 3 * 4 * 4)
