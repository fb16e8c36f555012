r"""Circuit layers as torch modules without a circuit, exactly.

The outputs of a circuit whose inputs enter rotations with integer factors are finite Fourier series
in these inputs. As many runs as there are coefficients determine them; nothing is fitted.

References:
    Schreiber, Eisert and Meyer, Phys. Rev. Lett. 131, 100803 (2023), arXiv:2206.11740.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.circuits.spectrum import Spectrum, spectra
from hybridopt.errors import ConversionError, ResourceError
from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.dressed import DressedCircuit, DressedSurrogate
from hybridopt.nn.fourier_series import FourierSeries, grid_points, interpolate

MAX_COEFFICIENTS = 1 << 22  # 32 MiB, and as much again for each of gradient and moments
POINTS_PER_CALL = 1 << 16


def check_surrogate(module: nn.Module, owner: str, *, sampled: bool) -> None:
    """Refuse a layer without exact torch form; ``sampled`` coefficients may have shot noise."""
    layer = _circuit_layer(module)
    if type(layer).forward is not CircuitLayer.forward:
        raise ConversionError(
            f"{owner} is a {type(layer).__name__} with its own `forward`, which may compute more "
            "than the outputs of its circuit. Use torch layers around a CircuitLayer instead."
        )
    if not layer.readout.is_linear:
        raise ConversionError(
            f"{owner} reads post-selected probabilities, which are ratios and no finite Fourier "
            "series. Read Probabilities without `given`, and divide in torch."
        )
    if layer.executor.shots is not None and not sampled:
        raise ConversionError(
            f"{owner} runs with {layer.executor.shots} shots, so its coefficients would be noisy. "
            'Give it an exact executor, or pass readout="circuit" to have the shot noise in them.'
        )
    weights = layer.weight.detach()
    if weights.is_meta:
        raise ConversionError(f"{owner} is on the meta device, so its weights have no values.")
    if not bool(torch.isfinite(weights).all()):
        raise ConversionError(f"{owner} has weights that are NaN or infinite. Train it again.")
    sizes = [one.size for one in _spectra(layer, owner)]
    count = math.prod(sizes) * layer.out_features
    if count > MAX_COEFFICIENTS:
        raise ResourceError(
            f"{owner} would have {count:,} coefficients ({' x '.join(map(str, sizes))} for each of "
            f"{layer.out_features} outputs), but at most {MAX_COEFFICIENTS:,} are taken. Use fewer "
            "inputs, or let each enter fewer rotations."
        )


def surrogate(module: nn.Module) -> nn.Module:
    """The torch form of a layer that `check_surrogate` let pass: a `FourierSeries`, or with one.

    Coefficients are float64, as a layer computes in float64, but those of a dressed circuit have
    the dtype of its linear layers. They can be trained unless the layer's weights are frozen.
    """
    series = _series(_circuit_layer(module))
    result: nn.Module = series
    if isinstance(module, DressedCircuit):
        series.to(module.post.weight.dtype)
        result = DressedSurrogate(copy.deepcopy(module.pre), series, copy.deepcopy(module.post))
    return result.train(module.training)


def _circuit_layer(module: nn.Module) -> CircuitLayer:
    layer = module.layer if isinstance(module, DressedCircuit) else module
    assert isinstance(layer, CircuitLayer)
    return layer


def _spectra(layer: CircuitLayer, owner: str) -> tuple[Spectrum, ...]:
    try:
        return spectra(layer.circuit, layer.program, layer.input_parameters)
    except ConversionError as error:
        raise ConversionError(f"{owner} has no exact torch form: {error}") from error


@torch.no_grad()
def _series(layer: CircuitLayer) -> FourierSeries:
    found = _spectra(layer, type(layer).__name__)
    values = _values_on_grid(layer, found)
    series = FourierSeries(interpolate(values, found), found)
    series.to(layer.weight.device)
    frozen = layer.weight.numel() > 0 and not layer.weight.requires_grad
    series.coefficients.requires_grad_(not frozen)
    return series


def _values_on_grid(
    layer: CircuitLayer, found: Sequence[Spectrum]
) -> Float64[Tensor, " N *outputs"]:
    """By the layer's own executor."""
    points = torch.arange(math.prod(one.size for one in found))
    pieces = torch.split(points, POINTS_PER_CALL)
    return torch.cat([layer(grid_points(found, n).to(layer.weight.device)) for n in pieces])
