"""Exact torch forms of circuit layers.

If inputs enter rotations with integer factors, the outputs are finite Fourier series in the inputs.
One run per coefficient determines them without a fit.

References:
    Schreiber, Eisert and Meyer, Phys. Rev. Lett. 131, 100803 (2023), arXiv:2206.11740.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from hybridopt._copies import (
    accumulation_hooks,
    copy_call_hooks,
    copy_module,
    gradient_hooks,
    is_computed,
)
from hybridopt.circuits.spectrum import spectra
from hybridopt.errors import ConversionError, ResourceError
from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.dressed import DressedCircuit, DressedSurrogate
from hybridopt.nn.fourier_series import FourierSeries, grid_points, interpolate

MAX_COEFFICIENTS = 1 << 22  # 32 MiB, and the same for the gradient and for each moment
POINTS_PER_CALL = 1 << 16


def check_surrogate(module: nn.Module, owner: str, *, sampled: bool) -> None:
    """Check that a layer has an exact torch form; ``sampled`` accepts shot noise."""
    layer = _circuit_layer(module)
    if type(layer).forward is not CircuitLayer.forward:
        raise ConversionError(
            f"{owner} is a {type(layer).__name__} with its own `forward`, which may differ from "
            "the outputs of its circuit. Use torch layers around a CircuitLayer instead."
        )
    _check_weights(layer, owner)
    if not layer.readout.is_linear:
        raise ConversionError(
            f"{owner} reads post-selected probabilities, which are not a finite Fourier series. "
            "Use Probabilities without `given`, and divide in torch."
        )
    if layer.executor.shots is not None and not sampled:
        raise ConversionError(
            f"{owner} must run without shots (got {layer.executor.shots} shots). Use an exact "
            'executor, or pass readout="circuit" for coefficients with shot noise.'
        )
    weights = layer.weight.detach()
    if weights.is_meta:
        raise ConversionError(f"{owner} must have weights with values (got the meta device).")
    if not bool(torch.isfinite(weights).all()):
        raise ConversionError(f"{owner} must have finite weights (got NaN or infinite numbers).")
    try:
        found = spectra(layer.circuit, layer.program, layer.input_parameters)
    except ConversionError as error:
        raise ConversionError(f"{owner} has no exact torch form: {error}") from error
    sizes = [one.size for one in found]
    count = math.prod(sizes) * layer.out_features
    if count > MAX_COEFFICIENTS:
        raise ResourceError(
            f"{owner} needs {count:,} coefficients ({' x '.join(map(str, sizes))} for each of "
            f"{layer.out_features} outputs), but at most {MAX_COEFFICIENTS:,} are allowed. Use "
            "fewer inputs, or fewer rotations per input."
        )


def _check_weights(layer: CircuitLayer, owner: str) -> None:
    """Check that the weights have no structure which coefficients would lose."""
    if is_computed(layer, "weight"):
        raise ConversionError(
            f"{owner} must not have a computed weight (pruned, parametrized), which coefficients "
            "cannot keep. Remove it with `prune.remove` or `remove_parametrizations`."
        )
    if gradient_hooks(layer.weight) or accumulation_hooks(layer.weight):
        raise ConversionError(
            f"{owner} must not have a hook on its weight, because coefficients replace the "
            "weight. Remove the hook."
        )


@torch.no_grad()
def surrogate(module: nn.Module) -> nn.Module:
    """Return the torch form of a layer that passed `check_surrogate`.

    Coefficients are float64, or have the dtype of the linear layers of a dressed circuit. They are
    trainable unless the weights of the layer are frozen.
    """
    layer = _circuit_layer(module)
    found = spectra(layer.circuit, layer.program, layer.input_parameters)
    points = torch.arange(math.prod(one.size for one in found))
    pieces = torch.split(points, POINTS_PER_CALL)
    # without the hooks of the layer, which the series gets, too
    values = [layer.forward(grid_points(found, n).to(layer.weight.device)) for n in pieces]
    series = FourierSeries(interpolate(torch.cat(values), found), found).to(layer.weight.device)
    frozen = layer.weight.numel() > 0 and not layer.weight.requires_grad
    series.coefficients.requires_grad_(not frozen)
    result: nn.Module = series
    if isinstance(module, DressedCircuit):
        series.to(module.post.weight.dtype)
        pre, post = copy_module(module.pre), copy_module(module.post)
        result = DressedSurrogate(cast(nn.Linear, pre), series, cast(nn.Linear, post))
        copy_call_hooks(layer, series)
    copy_call_hooks(module, result)
    return result.train(module.training)


def _circuit_layer(module: nn.Module) -> CircuitLayer:
    layer = module.layer if isinstance(module, DressedCircuit) else module
    assert isinstance(layer, CircuitLayer)
    return layer
