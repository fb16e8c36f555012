"""Repeated calls of one closure: random numbers and return values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.optim.closure import RepeatedClosure


@pytest.fixture
def network():
    return nn.Linear(3, 2)


def loss_and_outputs(closure, network, *, with_outputs=False):
    params = list(network.parameters())
    with RepeatedClosure(closure, params, with_outputs=with_outputs) as question:
        return question.graph()


def test_every_call_draws_the_same_numbers(network):
    drawn = []

    def closure():
        drawn.append(torch.rand(3))
        return network(drawn[-1]).sum()

    torch.manual_seed(3)
    with RepeatedClosure(closure, list(network.parameters()), with_outputs=False) as question:
        loss, _ = question.graph()
        torch.rand(5)  # numbers drawn between the calls have no effect
        assert question.loss() == loss.item() == question.loss()
        torch.rand(5)
    after = torch.rand(4)
    assert torch.equal(drawn[0], drawn[1])
    torch.manual_seed(3)
    torch.rand(3)
    assert torch.equal(after, torch.rand(4))


def test_trial_losses_build_no_graph(network):
    flags = []

    def closure():
        loss = network(torch.ones(3)).sum()
        flags.append(loss.requires_grad)
        return loss

    with RepeatedClosure(closure, list(network.parameters()), with_outputs=False) as question:
        question.loss()
        with torch.no_grad():
            question.graph()
    assert flags == [False, True]


@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("retain", [False, True])
def test_closure_must_not_call_backward(network, zeroed, retain):
    network(torch.ones(3)).sum().backward()  # an old gradient

    def closure():
        if zeroed:
            network.zero_grad()
        loss = network(torch.ones(3)).square().sum()
        loss.backward(retain_graph=retain)
        return loss

    with pytest.raises(ArgumentError, match=r"`closure`.*`backward\(\)`"):
        loss_and_outputs(closure, network)


@pytest.mark.parametrize("set_to_none", [False, True])
def test_closure_may_clear_old_gradients(network, set_to_none):
    network(torch.ones(3)).sum().backward()

    def closure():
        network.zero_grad(set_to_none=set_to_none)
        return network(torch.ones(3)).sum()

    assert loss_and_outputs(closure, network)[0].requires_grad


@pytest.mark.parametrize(
    ("result", "with_outputs", "message"),
    [
        (1.5, False, "`closure`.* 1.5 of type float"),
        (torch.ones(2, 3), False, r"`closure`.* \(2, 3\)"),
        ((torch.ones(()), torch.ones(2)), False, "`closure`.* tuple"),
        (torch.ones(()), True, r"`closure`.*\(loss, outputs\)"),
        ((torch.ones(()),), True, r"`closure`.*\(loss, outputs\)"),
        ((torch.ones(()), 2), True, r"`closure`.*\(loss, outputs\)"),
    ],
)
def test_wrong_return_values(network, result, with_outputs, message):
    with pytest.raises(ArgumentTypeError, match=message):
        loss_and_outputs(lambda: result, network, with_outputs=with_outputs)


def test_detached_loss(network):
    with pytest.raises(ArgumentError, match=r"`closure`.*`detach"):
        loss_and_outputs(lambda: network(torch.ones(3)).sum().detach(), network)
