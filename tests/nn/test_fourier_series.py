"""The Fourier series against explicit sums, and as a torch module."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import pytest
import torch

from hybridopt.circuits.spectrum import Spectrum
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.nn import FourierSeries
from hybridopt.nn.fourier_series import grid_points, interpolate

SPECTRA = (Spectrum(0.5, 2), Spectrum(1.0, 1), Spectrum(1.0, 0), Spectrum(3.0, 3))
SIZE = 5 * 3 * 1 * 7


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def series(*outputs: int) -> FourierSeries:
    return FourierSeries(double(SIZE, *(outputs or (2,))), SPECTRA)


def wave(j: int, angle: float) -> float:
    """Return function j of 1, sin, cos, sin 2, ..."""
    order = (j + 1) // 2
    return math.sin(order * angle) if j % 2 else math.cos(order * angle)


def explicit_sum(module: FourierSeries, x: torch.Tensor) -> torch.Tensor:
    rows = []
    for row in x.tolist():
        total = torch.zeros(module.out_features, dtype=torch.float64)
        indices = itertools.product(*(range(one.size) for one in SPECTRA))
        for number, places in enumerate(indices):
            terms = zip(places, SPECTRA, row, strict=True)
            factors = [wave(j, one.step * value) for j, one, value in terms]
            total += math.prod(factors) * module.coefficients[number].detach()
        rows.append(total)
    return torch.stack(rows)


@pytest.mark.parametrize("outputs", [(1,), (2,), (2, 3), (50,)], ids=str)
def test_matches_explicit_sum(outputs):
    module, x = series(*outputs), 5 * double(3, 4, seed=1)
    expected = explicit_sum(module, x).reshape(3, *outputs)
    # 105 terms of size 1
    torch.testing.assert_close(module(x).detach(), expected, rtol=0, atol=1e-12)
    assert (module.in_features, module.out_features) == (4, math.prod(outputs))


def test_interpolation_recovers_the_coefficients():
    module = series(2, 2)
    x = grid_points(SPECTRA, torch.arange(SIZE))
    assert len(x.unique(dim=0)) == SIZE
    again = interpolate(module(x).detach(), SPECTRA)
    expected = module.coefficients.detach().reshape(SIZE, 2, 2)
    torch.testing.assert_close(again, expected, rtol=0, atol=1e-13)
    some = grid_points(SPECTRA, torch.tensor([3, 17, 104]))
    assert torch.equal(some, x[[3, 17, 104]])


def test_constant_without_inputs():
    module = FourierSeries(double(1, 3), ())
    outputs = module(torch.empty(4, 0))
    torch.testing.assert_close(outputs, double(1, 3).float().expand(4, 3))
    assert torch.equal(interpolate(double(1, 3), ()), double(1, 3))
    assert grid_points((), torch.arange(1)).shape == (1, 0)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 1, 3)], ids=str)
def test_any_batch_shape(shape):
    module, x = series(2, 3), double(*shape, 4, seed=1)
    outputs = module(x)
    assert outputs.shape == (*shape, 2, 3)
    flat = module(x.reshape(-1, 4)).reshape(*shape, 2, 3)
    torch.testing.assert_close(outputs, flat, rtol=0, atol=1e-13)


@pytest.mark.parametrize("cast", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_computes_in_the_finer_dtype(cast, dtype):
    module, x = series().to(cast), double(5, 4, seed=1).to(dtype)
    outputs = module(x)
    assert outputs.dtype == dtype
    exact = copy.deepcopy(module).double()(x.double())
    used = torch.promote_types(torch.promote_types(dtype, cast), torch.float32)
    # the output is rounded to its dtype; terms of size 1 are rounded to the computing dtype
    eps = {"rtol": torch.finfo(dtype).eps, "atol": SIZE * torch.finfo(used).eps}
    torch.testing.assert_close(outputs.double(), exact, **eps)


def test_cast_does_not_round_high_orders():
    order = 301  # bfloat16 can represent 300 and 302 only
    coefficients = torch.zeros(2 * order + 1, 1)
    coefficients[2 * order - 1] = 1
    module = FourierSeries(coefficients, [Spectrum(0.5, order)]).to(torch.bfloat16)
    x = double(5, 1, seed=1)
    torch.testing.assert_close(module(x).detach(), (order / 2 * x).sin(), rtol=0, atol=1e-13)


def test_first_and_second_derivatives():
    module, x = series(), double(2, 4, seed=1).requires_grad_()
    tensors = (x, module.coefficients.detach().requires_grad_())

    def function(x, coefficients):
        return torch.func.functional_call(module, {"coefficients": coefficients}, (x,))

    assert torch.autograd.gradcheck(function, tensors)
    assert torch.autograd.gradgradcheck(function, tensors)


def test_copies_pickles_and_state_dicts_give_the_same_numbers():
    module, x = series(), double(3, 4, seed=1)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)
    assert list(module.state_dict()) == ["coefficients"]
    other = FourierSeries(torch.zeros(SIZE, 2, dtype=torch.float64), SPECTRA)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), expected)
    assert module.to("meta")(x.to("meta")).shape == (3, 2)
    assert "orders=[2, 1, 0, 3]" in repr(module)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.rand(3, 5), ArgumentError, r"\(\.\.\., 4\).*\(3, 5\)"),
        (torch.ones(3, 4, dtype=torch.int64), ArgumentTypeError, "FourierSeries.*int64"),
    ],
)
def test_unusable_input_is_refused(x, error, message):
    with pytest.raises(error, match=message):
        series()(x)
