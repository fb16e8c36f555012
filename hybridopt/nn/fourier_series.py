"""A Fourier series in several variables with trained coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor, fx, nn

from hybridopt._modules import check_samples
from hybridopt.circuits.spectrum import Spectrum


class FourierSeries(nn.Module):
    r"""Sum of products of sines and cosines: the function of a circuit of rotations.

    Each input has a step s, an order R and the functions :math:`\phi_0, \phi_1, \phi_2, \ldots =
    1, \sin s x, \cos s x, \sin 2 s x, \ldots` The outputs are

    .. math::
        f_k(x) = \sum_{j_1 \ldots j_I}
                 C_{j_1 \ldots j_I k} \, \phi_{j_1}(x_1) \cdots \phi_{j_I}(x_I) .

    The inputs are split into two groups, and C becomes a matrix between their products. A sample
    needs about one multiplication per coefficient.

    Args:
        coefficients: Coefficients, shape ``(N, *outputs)``, with N the product of all 2 R + 1; the
            functions of the last input vary fastest.
        spectra: Step s and order R of every input.

    Attributes:
        coefficients: Trained parameter, shape ``(N, K)``.
        in_features: Number of inputs I.
        out_features: Number of outputs K.
    """

    def __init__(
        self, coefficients: Float[Tensor, " N *outputs"], spectra: Sequence[Spectrum]
    ) -> None:
        super().__init__()
        self.spectra = tuple(spectra)
        self.output_shape = tuple(coefficients.shape[1:])
        self.in_features, self.out_features = len(self.spectra), math.prod(self.output_shape)
        self.coefficients = nn.Parameter(coefficients.reshape(len(coefficients), self.out_features))
        # integers, because a cast of the module would round floats
        self.orders: Tensor  # TorchScript cannot read annotations of the class
        orders = torch.arange(1 + max((one.order for one in spectra), default=0))
        self.register_buffer("orders", orders, persistent=False)
        self._steps = [float(one.step) for one in spectra]
        self._sizes = sizes = [one.size for one in spectra]
        self._output_shape = list(self.output_shape)
        self._first = min(  # number of inputs in the first group, for the shortest products
            range(len(sizes) + 1),
            key=lambda k: math.prod(sizes[:k]) + math.prod(sizes[k:]) * self.out_features,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of every sample.

        Args:
            x: Samples, shape ``(..., I)``, real floating point.

        Returns:
            Outputs, shape ``(..., *outputs)``, in the dtype of x; computed in the finer dtype of x
            and coefficients.

        Raises:
            ArgumentError: If x has another width.
            ArgumentTypeError: If x is not a tensor of real floating point numbers.
        """
        return fourier_series(
            x,
            self.coefficients,
            self.orders,
            self._steps,
            self._sizes,
            self._first,
            self._output_shape,
        )

    def extra_repr(self) -> str:
        """Return sizes."""
        orders = [one.order for one in self.spectra]
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, orders={orders}, "
            f"coefficients={self.coefficients.numel()}"
        )


@fx.wrap  # an operator in graphs of torch.fx; its body is in the subset of TorchScript
def fourier_series(
    x: Tensor,
    coefficients: Tensor,
    orders: Tensor,
    steps: list[float],
    sizes: list[int],
    num_first: int,
    output_shape: list[int],
) -> Tensor:
    """Return the outputs of a `FourierSeries`, of which ``num_first`` inputs are in one group."""
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        check_samples(x, len(steps), "a FourierSeries", "input")
    dtype = torch.promote_types(torch.promote_types(x.dtype, coefficients.dtype), torch.float32)
    shape = list(x.shape[:-1])
    count, outputs = 1, 1
    for length in shape:
        count *= length
    for length in output_shape:
        outputs *= length
    samples = x.reshape(count, len(steps)).to(dtype)
    scales = torch.tensor(steps, dtype=dtype, device=x.device)
    angles = samples[:, :, None] * torch.outer(scales, orders.to(dtype))
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., 1:]
    products = [samples.new_ones((count, 1)), samples.new_ones((count, 1))]
    for place, size in enumerate(sizes):  # the last input varies fastest
        group = 0 if place < num_first else 1
        products[group] = (products[group][:, :, None] * waves[:, place, None, :size]).flatten(1)
    first, others = products[0], products[1]
    matrix = coefficients.to(dtype).reshape(first.shape[1], -1)
    partial = (first @ matrix).reshape(count, others.shape[1], outputs)
    values = torch.einsum("bj,bjk->bk", others, partial)
    return values.reshape(shape + output_shape).to(x.dtype)


def interpolate(
    values: Float64[Tensor, " N *outputs"], spectra: Sequence[Spectrum]
) -> Float64[Tensor, " N *outputs"]:
    """Return the coefficients of the series with these values at `grid_points`, by FFT."""
    coefficients, shape, before = values, values.shape, 1
    for one in spectra:
        rows = coefficients.reshape(before, one.size, -1)
        waves = torch.fft.rfft(rows, dim=1) / one.size
        pairs = torch.stack([-2 * waves.imag, 2 * waves.real], dim=2).flatten(1, 2)
        pairs[:, 1] /= 2  # the constant has no sine
        coefficients = pairs[:, 1:]
        before *= one.size
    return coefficients.reshape(shape)


def grid_points(spectra: Sequence[Spectrum], numbers: Tensor) -> Float64[Tensor, "points inputs"]:
    r"""Return grid points :math:`2 \pi m / (s (2 R + 1))`; the last input varies fastest."""
    points = numbers.new_zeros((len(numbers), len(spectra)), dtype=torch.float64)
    for place in reversed(range(len(spectra))):
        one = spectra[place]
        points[:, place] = (numbers % one.size).double() * (2 * math.pi / (one.step * one.size))
        numbers = numbers // one.size
    return points
