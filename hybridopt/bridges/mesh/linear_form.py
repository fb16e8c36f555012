"""Linear and convolutional layers as matrices that act on vectors."""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn import functional

from hybridopt.bridges.mesh.decomposition import MeshShape

Plain = nn.Linear | nn.Conv2d


def groups_of(plain: Plain) -> int:
    """Return the number of matrices, one per group of a convolution."""
    return plain.groups if isinstance(plain, nn.Conv2d) else 1


def shape_of(plain: Plain) -> MeshShape:
    """Return the shape of each matrix, with a column for a trainable bias."""
    rows = len(plain.weight) // groups_of(plain)
    return MeshShape(rows, plain.weight[0].numel() + has_trainable_bias(plain))


def has_trainable_bias(plain: Plain) -> bool:
    """Return True if the bias is a column of the matrix."""
    bias: Tensor | None = plain.bias
    return bias is not None and bias.requires_grad


def matrices_of(plain: Plain) -> Float64[Tensor, "groups m n"]:
    """Return the matrices ``[W b]``, or ``W`` without a trainable bias."""
    weight, groups = plain.weight.detach(), groups_of(plain)
    matrices = weight.reshape(groups, len(weight) // groups, -1).double().cpu()
    if not has_trainable_bias(plain):
        return matrices
    assert plain.bias is not None
    column = plain.bias.detach().double().cpu().reshape(groups, -1, 1)
    return torch.cat([matrices, column], dim=2)


def classical(plain: Plain, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the outputs of the layer with other tensors, computed by torch."""
    if isinstance(plain, nn.Conv2d):
        return cast(Tensor, plain._conv_forward(x, weight, bias))
    return functional.linear(x, weight, bias)


def vectors_of(plain: Plain, x: Tensor) -> Float64[Tensor, "groups B inputs"]:
    """Return the input vectors of each matrix, without the 1 for the bias; patches of images."""
    if isinstance(plain, nn.Linear):
        return x.reshape(1, math.prod(x.shape[:-1]), plain.in_features).double()
    images = (x if x.ndim == 4 else x[None]).double()
    mode = "constant" if plain.padding_mode == "zeros" else plain.padding_mode
    images = functional.pad(images, list(plain._reversed_padding_repeated_twice), mode=mode)
    patches = functional.unfold(images, plain.kernel_size, plain.dilation, 0, plain.stride)
    grouped = torch.unflatten(patches, 1, (plain.groups, -1))  # (N, groups, inputs, L)
    return grouped.permute(1, 0, 3, 2).flatten(1, 2)


def arranged(
    plain: Plain, outputs: Float64[Tensor, "groups B m"], shape: torch.Size
) -> Float64[Tensor, ...]:
    """Return the outputs of all matrices in the shape of the layer's outputs."""
    if isinstance(plain, nn.Linear):
        return outputs.reshape(shape)
    groups, _, channels = outputs.shape
    by_image = outputs.reshape(groups, -1, math.prod(shape[-2:]), channels)
    return by_image.permute(1, 0, 3, 2).reshape(shape)
