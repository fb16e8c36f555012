"""Networks with several inputs, and every kind of dataset, through `fit`."""

from __future__ import annotations

import copy

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, DataError
from hybridopt.nn import CircuitLayer

DRAW = torch.Generator().manual_seed(5)
X, Z = torch.randn(13, 4, generator=DRAW), torch.randn(13, 2, generator=DRAW)
Y, WEIGHT = torch.arange(13) % 3, torch.rand(13, generator=DRAW)


class Two(nn.Module):
    """Network of two inputs with names."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.a, self.b = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, x, z):
        return self.a(x).tanh() + self.b(z)


class Rows(Dataset):
    """Own dataset; ``form`` makes a sample from the rows."""

    def __init__(self, form, *columns):
        self.form, self.columns = form, columns

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, row):
        return self.form(*(column[row] for column in self.columns))


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return (self.rows[k] for k in range(len(self.rows)))


FORMS = {
    "tuple": ((X, Z), Y),
    "dict of inputs": ({"z": Z, "x": X}, Y),
    "one dict": {"x": X, "z": Z, "label": Y},
    "arrays": ((X.numpy(), Z.double().numpy()), Y.numpy()),
    "own rows": Rows(lambda x, z, y: ((x, z), int(y)), X, Z, Y),
    "own dicts": Rows(lambda x, z, y: {"z": z.numpy(), "x": x, "y": y}, X, Z, Y),
    "subset of own": Subset(Rows(lambda x, z, y: ((x, z), y), X, Z, Y), range(13)),
}
BRIDGES = [None, "memory", "generator", "random-subspace", "walsh-subspace", "mesh", "twin"]


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_two_inputs_give_the_same(form, equal_states):
    first, second = Two(), Two()
    expected = ho.fit(first, FORMS["tuple"], epochs=2, batch_size=5)
    history = ho.fit(second, FORMS[form], epochs=2, batch_size=5)
    equal_states(first, second)
    assert (history.train_loss, history.metric) == (expected.train_loss, expected.metric)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_two_inputs_through_every_bridge(bridge, aer_calls):
    network = Two() if bridge is None else ho.to_quantum(Two(), bridge)
    plain = Two()
    expected = nn.functional.cross_entropy(plain(X, Z), Y).item()
    history = ho.fit(network, ({"x": X, "z": Z}, Y), epochs=1, optimizer="gd", lr=0.05)
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-5)
    outputs = network.eval()(X, Z)
    assert nn.functional.cross_entropy(outputs, Y).item() < expected
    assert history.metric[0] == (outputs.argmax(1) == Y).double().mean().item()
    assert bool(aer_calls) == (bridge in {"memory", "generator", "mesh"})


@pytest.mark.parametrize("optimizer", ["adam", "newton", "lbfgs"])
def test_resume_with_two_inputs_and_weights(optimizer, equal_states, tmp_path):
    samples = ((X, Z), Y, WEIGHT)
    whole, parts = Two(), [Two(), Two()]
    ho.fit(whole, samples, optimizer=optimizer, epochs=3)
    for network, epochs in zip(parts, (1, 3), strict=True):
        ho.fit(network, samples, optimizer=optimizer, epochs=epochs, checkpoint=tmp_path / "run")
    equal_states(parts[1], whole)


def test_range_test_and_masks():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.out = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, tokens, mask):
            return self.out(self.embedding(tokens).masked_fill(~mask[..., None], 0).sum(1))

    tokens = torch.arange(36).reshape(12, 3) % 9
    samples = ({"tokens": tokens, "mask": tokens > 1}, tokens.sum(1) % 2)
    torch.manual_seed(0)  # of three batches, one may start with a much larger loss
    history = ho.fit(Masked(), samples, lr="auto", epochs=3, batch_size=4)
    assert len(history.range_test.rates) > 5
    assert history.train_loss[-1] < history.train_loss[0]


def test_subsets_and_concatenations_equal_tensors(equal_states, data, make_network):
    x, y = data.train.x, data.train.y
    whole = TensorDataset(x, y)
    order = [*range(5), *range(5, 22)]
    forms = [
        Subset(whole, order),
        ConcatDataset([Subset(whole, range(9)), TensorDataset(x[9:], y[9:])]),
        Rows(lambda x, y: (x, y), x, y),
        ConcatDataset([Subset(whole, range(9)), Rows(lambda x, y: (x, y), x[9:], y[9:])]),
    ]
    for batch_size in (None, 6):
        expected = make_network(dropout=0.5)
        before = ho.fit(expected, (x, y), epochs=2, batch_size=batch_size, seed=4)
        for form in forms:
            network = make_network(dropout=0.5)
            history = ho.fit(network, form, epochs=2, batch_size=batch_size, seed=4)
            equal_states(network, expected)
            assert (history.train_loss, history.metric) == (before.train_loss, before.metric)


def test_datasets_are_read_again_in_each_epoch(make_network):
    noisy = Rows(lambda x, y: (x[:3] + torch.randn(3), y), X, Y)
    runs = [ho.fit(make_network(), noisy, epochs=2, lr=1e-9).train_loss for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


def test_streams_equal_loaders(equal_states, data, make_network):
    stream = Stream(Rows(lambda x, y: (x, y), data.train.x, data.train.y))
    one, other = make_network(), make_network()
    history = ho.fit(one, stream, epochs=2, batch_size=8)
    ho.fit(other, DataLoader(stream, 8), epochs=2)
    equal_states(one, other)
    assert (history.metric, history.steps) == ([None, None], [3, 3])
    one, other = make_network(), make_network()
    ho.fit(one, stream, epochs=2, optimizer="gd")
    ho.fit(other, (data.train.x, data.train.y), epochs=2, optimizer="gd")
    equal_states(one, other)


def test_weights_of_zero_are_left_out_of_loaders(equal_states, data, make_network):
    weight = (torch.arange(22) >= 8).float()
    one, other = (make_network(batch_norm=True) for _ in range(2))
    loader = DataLoader(TensorDataset(data.train.x, data.train.y, weight), 6)  # 6 zeros, 2 + 4, ...
    history = ho.fit(one, loader, epochs=1)
    kept = [(data.train.x[8:12], data.train.y[8:12])]
    kept += [(data.train.x[k], data.train.y[k]) for k in (slice(12, 18), slice(18, 22))]
    ho.fit(other, DataLoader(kept, batch_size=None), epochs=1)
    equal_states(one, other)
    assert history.steps == [3]


class Once(IterableDataset):
    def __init__(self):
        self.rows = iter([(X[0], Y[0])])

    def __iter__(self):
        return self.rows


class NoLength(Dataset):
    def __getitem__(self, row):
        return X[row], Y[row]


def broken(x, y):
    raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (Once(), "Once `data`.*start again"),
        (NoLength(), "`data`.*length.*NoLength"),
        (Rows(broken, X, Y), "`data`.*ZeroDivisionError: on purpose"),
        (Rows(lambda x, y: x, X, Y), "`data`.*Tensor.*Rows"),
        (Rows(lambda x, y: (object(), y), X, Y), "`data`.*object"),
        (Rows(lambda x, y: ({"x": x, "text": "no"}, y), X, Y), r"`x\['text'\]`"),
        (Rows(lambda x, y: (x[: int(y) + 1], y), X, Y), "`data`.*equal shapes"),
        (Stream(Rows(broken, X, Y)), "`data`.*ZeroDivisionError"),
        (DataLoader(Rows(broken, X, Y), 4), "DataLoader `data`.*ZeroDivisionError"),
        (DataLoader(Rows(lambda x, y: (object(), y), X, Y), 4), "DataLoader `data`.*object"),
        (Stream(Rows(lambda x, y: (x, y), X[:0], Y[:0])), "`data`.*none"),
        (((X, Z[:4]), Y), r"`x\[1\]`.* 4 .*13"),
        (((X, Z), Y), "`x`.*WeightNetwork.*2 inputs"),
        (({3: X}, Y), "`x`.*3"),
        ({"x": X, "z": Z}, "'x', 'z'"),
        (((X, Z.log()), Y), r"`x\[1\]`.*NaN"),
        (Subset(TensorDataset(X[:, :3], Y), [0, 99]), "Subset `data`.*99"),
    ],
)
def test_unusable_datasets(samples, message, make_quantum, aer_calls):
    with pytest.raises(DataError, match=message):
        ho.fit(make_quantum(), samples, epochs=1)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((X[:4, :2], Y[:4]), r"`x`.*\(4, 2\)"),
        ((X[:4], X[:4, :2]), r"`loss`.*\(4, 2\)"),
        (((X[:4], X[:4]), Y[:4]), r"`x`.*2 inputs"),
    ],
)
def test_later_batches_of_another_kind(second, message):
    loader = DataLoader([(X[:4], Y[:4]), (X[4:7], Y[4:7]), second], batch_size=None)
    with pytest.raises(DataError, match=message):
        ho.fit(nn.Linear(4, 3), loader, epochs=1)


@pytest.mark.wrong_types
@pytest.mark.parametrize("other", [None, {"q": X}, "text"])
def test_an_input_of_another_type_is_named(other):
    with pytest.raises((DataError, ArgumentTypeError), match=r"`x\[1\]`"):
        ho.fit(Two(), ((X, other), Y), epochs=1)


def test_missing_input_is_named(aer_calls):
    with pytest.raises(DataError, match=r"`x`.*'z'.*\(\(a, b\), y\)"):
        ho.fit(ho.to_quantum(Two()), TensorDataset(X, Y), epochs=1)
    assert aer_calls == []


def pairs(count):
    return TensorDataset(X[:count, :3], Y[:count])


@pytest.mark.parametrize(
    "form",
    [
        DataLoader(pairs(9), 4),
        DataLoader(pairs(9), batch_sampler=[[0, 1, 2, 3], [4]]),
        DataLoader(Stream(pairs(9)), 4),
        Rows(lambda x, y: (x, y), *pairs(9).tensors),
        Stream(pairs(9)),
    ],
)
@pytest.mark.parametrize("quantum", [False, True])
def test_last_batch_of_one_with_a_normalisation(form, quantum, make_network):
    network = make_network(batch_norm=True)
    network = ho.to_quantum(network) if quantum else network
    size = {} if isinstance(form, DataLoader) else {"batch_size": 4}
    message = r"`x`.*\(1, 3\).*Layer `(network\.)?1` \(BatchNorm1d\).*`drop_last=True`"
    with pytest.raises(DataError, match=message):
        ho.fit(network, form, epochs=1, **size)
    if (
        isinstance(form, DataLoader)
        and form.batch_size == 4
        and not isinstance(form.dataset, Stream)
    ):
        dropping = DataLoader(form.dataset, 4, drop_last=True)
        assert ho.fit(network, dropping, epochs=1).steps == [2]


def test_labels_of_later_batches_are_checked():
    labels = torch.where(torch.arange(13) == 12, 7, Y)
    with pytest.raises(DataError, match=r"`y`.* 2 .* 7"):
        ho.fit(nn.Linear(4, 3), DataLoader(TensorDataset(X, labels), 4), epochs=1)


def test_circuit_layers_with_two_inputs(aer_calls):
    layer = CircuitLayer(*_circuit(), ["ZI", "IZ"])

    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = layer, nn.Linear(2, 3)

        def forward(self, x, z):
            return self.out(self.layer(x[:, :2] + 0.1 * z))  # real or integer z

    network = Joined()
    before = copy.deepcopy(network.state_dict())
    ho.fit(network, ((X, (10 * Z).long()), Y), epochs=0)
    assert aer_calls == []
    history = ho.fit(network, ((X, Z), Y), epochs=1)
    assert history.settings[0] > 0
    assert any(not torch.equal(before[k], v) for k, v in network.state_dict().items())


def _circuit():
    x, w = ParameterVector("x", 2), ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    for qubit in range(2):
        circuit.ry(x[qubit], qubit)
        circuit.rx(w[qubit], qubit)
    circuit.cx(0, 1)
    return circuit, x, w
