"""One closure asked several times: random numbers, and what it may return."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.optim.closure import RepeatedClosure

CALLED = r"called `backward\(\)`.*return the loss and do not call `backward\(\)`"


@pytest.fixture
def network():
    return nn.Linear(3, 2)


def ask(closure, network, *, with_outputs=False):
    params = list(network.parameters())
    with RepeatedClosure(closure, params, with_outputs=with_outputs) as question:
        return question.graph()


def test_every_call_draws_the_same_numbers_and_one_call_is_left_behind(network):
    drawn = []

    def closure():
        drawn.append(torch.rand(3))
        return network(drawn[-1]).sum()

    torch.manual_seed(3)
    with RepeatedClosure(closure, list(network.parameters()), with_outputs=False) as question:
        loss, _ = question.graph()
        torch.rand(5)  # what is drawn beside the calls does not matter
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
def test_closure_that_calls_backward_is_refused(network, zeroed, retain):
    network(torch.ones(3)).sum().backward()  # a gradient left over from before

    def closure():
        if zeroed:
            network.zero_grad()
        loss = network(torch.ones(3)).square().sum()
        loss.backward(retain_graph=retain)
        return loss

    with pytest.raises(ArgumentError, match=CALLED):
        ask(closure, network)


@pytest.mark.parametrize("set_to_none", [False, True])
def test_closure_that_only_clears_old_gradients_is_fine(network, set_to_none):
    network(torch.ones(3)).sum().backward()

    def closure():
        network.zero_grad(set_to_none=set_to_none)
        return network(torch.ones(3)).sum()

    assert ask(closure, network)[0].requires_grad


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (1.5, "tensor with one element, but returned 1.5 of type float"),
        (None, "tensor with one element, but returned None"),
        (torch.ones(2, 3), r"one element, but returned a tensor of shape \(2, 3\)"),
        ((torch.ones(()), torch.ones(2)), "one element, but returned .* of type tuple"),
    ],
)
def test_closure_that_returns_no_loss_is_refused(network, result, message):
    with pytest.raises(ArgumentTypeError, match=message):
        ask(lambda: result, network)


@pytest.mark.parametrize("result", [torch.ones(()), (torch.ones(()),), (torch.ones(()), 2)])
def test_gauss_newton_asks_for_loss_and_outputs(network, result):
    with pytest.raises(ArgumentTypeError, match=r"the pair \(loss, outputs\) of tensors, but"):
        ask(lambda: result, network, with_outputs=True)


def test_detached_loss_is_refused(network):
    with pytest.raises(ArgumentError, match=r"no trainable parameter.*without `detach"):
        ask(lambda: network(torch.ones(3)).sum().detach(), network)
