"""Readouts of the memory circuit: in eval mode one per change of the angles."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import hybridopt as ho
from tests.bridges.memories import closed_form_loss, quantum_mlp
from tests.bridges.networks import RECIPES


@pytest.mark.parametrize("num_angles", [None, 7])
@pytest.mark.parametrize("shots", [None, 50])
def test_evaluation_reads_once_per_change_of_the_angles(shots, num_angles, aer_calls):
    case, executor = RECIPES["mlp-double"](), ho.AerExecutor(shots=shots, seed=1)
    quantum = quantum_mlp(executor=executor, num_angles=num_angles).eval()
    first = case.outputs(quantum)
    assert torch.equal(case.outputs(quantum), first)
    assert aer_calls == [1]
    quantum.angles.data[3] += 0.1
    case.outputs(quantum)
    assert aer_calls == [1, 1]
    with torch.no_grad():
        quantum.angles.mul_(0.5)
    case.outputs(quantum)
    case.outputs(quantum)
    assert aer_calls == [1, 1, 1]
    quantum.load_state_dict(quantum_mlp(num_angles=num_angles).state_dict())
    case.outputs(quantum)
    assert aer_calls == [1, 1, 1, 1]


def test_copies_keep_the_readout(aer_calls):
    executor = ho.AerExecutor(shots=9, seed=1)  # another readout would give other weights
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(executor=executor).eval()
    expected = case.outputs(quantum)
    for copied in (copy.deepcopy(quantum), pickle.loads(pickle.dumps(quantum))):
        assert torch.equal(case.outputs(copied), expected)
    assert aer_calls == [1]


def test_new_executor_reads_again(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(executor=ho.AerExecutor(shots=9, seed=1))
    sampled = case.outputs(quantum.eval())
    quantum.executor = ho.AerExecutor()
    assert not torch.equal(case.outputs(quantum), sampled)
    assert aer_calls == [1, 1]


def test_training_reads_in_every_step(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp(executor=ho.AerExecutor(shots=50, seed=1))
    first, second = case.outputs(quantum), case.outputs(quantum)
    assert not torch.equal(first, second)
    assert aer_calls == [1, 1]
    quantum.eval()
    read = case.outputs(quantum)
    quantum.train()
    case.outputs(quantum)
    quantum.eval()
    assert not torch.equal(case.outputs(quantum), read)
    assert sum(aer_calls) == 5


def test_evaluation_mode_has_gradients(aer_calls):
    case, quantum = RECIPES["mlp-double"](), quantum_mlp().eval()
    case.outputs(quantum)
    case.loss(quantum).backward()
    assert aer_calls == [1, 1]
    angles = quantum.angles.detach().clone().requires_grad_()
    closed_form_loss(case, quantum, angles).backward()
    torch.testing.assert_close(quantum.angles.grad, angles.grad, rtol=0, atol=1e-10)
