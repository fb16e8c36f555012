"""Torch function of cosines: derivatives of every kind, and the readouts they need."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from hybridopt.bridges.memory.autograd import read_cosines
from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.bridges.memory.readout import CircuitReader
from hybridopt.execution import AerExecutor
from hybridopt.gradients import ParameterShift

DELTA = torch.tensor([0.3, -1.1, 2.0, 0.0, -2.9], dtype=torch.float64)
WEIGHTS = torch.tensor([1.0, -0.5, 2.0, 0.7, 0.2], dtype=torch.float64)


class Recorder:
    """Function for cos(theta - order pi/2) that records the orders."""

    def __init__(self) -> None:
        self.orders: list[int] = []

    def __call__(self, theta, order):
        self.orders.append(order)
        return np.cos(theta - order * np.pi / 2)


@pytest.fixture(params=["formula", "circuit"])
def reader(request):
    """Return the formula, or the circuit on Aer."""
    if request.param == "formula":
        return Recorder()
    return CircuitReader(MemoryProgram(3), AerExecutor(), ParameterShift()).read


def delta() -> torch.Tensor:
    return DELTA.clone().requires_grad_()


def loss_of(cosines: torch.Tensor) -> torch.Tensor:
    """Return a loss with products of neighbours, so that the Hessian is not diagonal."""
    return (WEIGHTS * cosines * cosines.roll(1)).sum() + (cosines**3).sum()


def closed_form(d: torch.Tensor) -> torch.Tensor:
    return loss_of(-torch.sin(d))


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_values_are_the_closed_form(reader):
    close(read_cosines(DELTA, reader), -torch.sin(DELTA))


def test_gradient_is_autograd_through_the_closed_form(reader):
    circuit, formula = delta(), delta()
    loss_of(read_cosines(circuit, reader)).backward()
    closed_form(formula).backward()
    close(circuit.grad, formula.grad)


def test_gradcheck(reader):
    assert torch.autograd.gradcheck(lambda d: read_cosines(d, reader), delta())
    assert torch.autograd.gradgradcheck(lambda d: read_cosines(d, reader), delta())


def test_third_derivative(reader):
    point = delta()
    value = read_cosines(point, reader).sum()
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), point, create_graph=True)
    close(value, torch.cos(DELTA))


# torch warns about this when it first prepares forward-mode rules
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("transform", [grad, hessian, jacrev, jacfwd], ids=lambda t: t.__name__)
def test_torch_func(transform, reader):
    circuit = transform(lambda d: loss_of(read_cosines(d, reader)))(DELTA)
    close(circuit, transform(closed_form)(DELTA))


def test_vmap_over_angles(reader):
    table = torch.stack([DELTA, 2 * DELTA, -DELTA])
    close(vmap(lambda d: read_cosines(d, reader))(table), -torch.sin(table))
    gradients = vmap(grad(lambda d: loss_of(read_cosines(d, reader))))(table)
    close(gradients, vmap(grad(closed_form))(table))


def test_vmap_over_another_dimension(reader):
    table = torch.stack([DELTA, 2 * DELTA], dim=1)
    values = vmap(lambda d: read_cosines(d, reader), in_dims=1, out_dims=1)(table)
    close(values, -torch.sin(table))


@pytest.mark.parametrize("known_dim", [None, 0])
def test_vmap_over_angles_with_known_values(known_dim):
    recorder, table = Recorder(), torch.stack([DELTA, DELTA])
    known = WEIGHTS if known_dim is None else torch.stack([WEIGHTS, 2 * WEIGHTS])
    values = vmap(lambda d, k: read_cosines(d, recorder, k), in_dims=(0, known_dim))(table, known)
    close(values, known.expand(2, -1))
    assert recorder.orders == []


def test_forward_and_backward_take_one_readout_each():
    recorder, point = Recorder(), delta()
    values = read_cosines(point, recorder)
    assert recorder.orders == [0]
    loss_of(values).backward()
    assert recorder.orders == [0, 1]


def test_no_gradient_takes_no_shifted_readout():
    recorder = Recorder()
    with torch.no_grad():
        read_cosines(delta(), recorder)
    assert recorder.orders == [0]
    assert not read_cosines(DELTA, recorder).requires_grad


def test_rows_of_a_hessian_share_readouts():
    recorder, point = Recorder(), delta()
    (gradient,) = torch.autograd.grad(
        loss_of(read_cosines(point, recorder)), point, create_graph=True
    )
    (rows,) = torch.autograd.grad(gradient, point, torch.eye(5).double(), is_grads_batched=True)
    close(rows, torch.autograd.functional.hessian(closed_form, DELTA))
    assert len(recorder.orders) <= 4


def test_known_values_save_the_forward_readout():
    recorder, point = Recorder(), delta()
    known = -torch.sin(DELTA)
    values = read_cosines(point, recorder, known)
    assert recorder.orders == []
    values.sum().backward()
    close(point.grad, -torch.cos(DELTA))
    assert recorder.orders == [1]
    values.data.zero_()
    close(known, -torch.sin(DELTA))


def test_meta_device_gives_shapes():
    recorder = Recorder()
    values = read_cosines(torch.empty(5, dtype=torch.float64, device="meta"), recorder)
    assert (values.shape, values.dtype, values.is_meta) == ((5,), torch.float64, True)
    assert recorder.orders == []
