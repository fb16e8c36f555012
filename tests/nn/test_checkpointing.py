"""Shots in segments that `torch.utils.checkpoint` runs again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import hybridopt as ho
from tests.nn.layers import NAME, layer_of

MODES = {"reentrant": True, "not reentrant": False}


class Record(nn.Module):
    """Two calls of a module, and its outputs in each run."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.inner(x), self.inner(x / 2)
        self.seen += [first.ravel().tolist(), second.ravel().tolist()]
        return first.sum(-1) + second.square().sum(-1)


def record_of(kind: str) -> Record:
    torch.manual_seed(0)
    executor = ho.AerExecutor(shots=40, seed=3)
    if kind == "layer":
        return Record(layer_of(NAME, executor=executor))
    plain = nn.Sequential(nn.Linear(2, 2), layer_of(NAME, executor=executor)).double()
    return Record(ho.to_quantum(plain, kind, executor=executor))


def run(record: Record, segment) -> tuple[Tensor, Tensor, dict]:
    """Return outputs and gradient of two segments with a draw between, and the last position."""
    x = torch.rand(2, 2, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    outputs = [segment(x), segment(x + 0.1)]
    (outputs[0].square().sum() + outputs[1].sum()).backward()
    return torch.cat(outputs).detach(), x.grad, record.inner.executor.state_dict()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["layer", "memory", "mesh", "generator"])
def test_segments_give_the_numbers_of_a_run_without_checkpoints(kind, mode):
    plain, kept = record_of(kind), record_of(kind)
    outputs, gradient, state = run(plain, plain)
    found = run(kept, lambda x: checkpoint(kept, x, use_reentrant=MODES[mode]))
    assert sorted(kept.seen[4:]) == sorted(kept.seen[:4]) == sorted(plain.seen)
    assert torch.equal(found[0], outputs)
    torch.testing.assert_close(found[1], gradient, rtol=0, atol=1e-12)
    assert found[2] == state


def test_segments_within_segments_repeat_the_same_shots():
    plain, kept = record_of("layer"), record_of("layer")

    def inner(x: Tensor) -> Tensor:
        return checkpoint(kept, x, use_reentrant=False) * kept.inner(x).sum(-1)

    def whole(x: Tensor) -> Tensor:
        return plain(x) * plain.inner(x).sum(-1)

    expected = run(plain, whole)
    found = run(kept, lambda x: checkpoint(inner, x, use_reentrant=False))
    torch.testing.assert_close(found[:2], expected[:2], rtol=0, atol=1e-12)
    assert len(kept.seen) == 12
    assert all(outputs in plain.seen for outputs in kept.seen)


def test_a_second_backward_pass_repeats_the_same_shots():
    record = record_of("layer")
    x = torch.rand(2, 2).double().requires_grad_()
    total = checkpoint(record, x, use_reentrant=False).sum()
    total.backward(retain_graph=True)
    total.backward()
    assert len(record.seen) == 6
    assert all(record.seen[n] == record.seen[n % 2] for n in range(6))


def test_other_calls_between_the_passes_draw_new_shots():
    record = record_of("layer")
    x = torch.rand(2, 2).double().requires_grad_()
    total = checkpoint(record, x, use_reentrant=False).sum()
    other = record.inner(x).ravel().tolist()
    total.backward()
    after = record.inner(x).ravel().tolist()
    assert record.seen[0] == record.seen[2]
    assert other != record.seen[0]
    assert after != other
