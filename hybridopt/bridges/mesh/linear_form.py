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
    """Return the number of matrices: one for each group of a convolution."""
    return plain.groups if isinstance(plain, nn.Conv2d) else 1


def shape_of(plain: Plain) -> MeshShape:
    """Return outputs of each matrix, and inputs with the column of a trainable bias."""
    rows = len(plain.weight) // groups_of(plain)
    return MeshShape(rows, plain.weight[0].numel() + has_trainable_bias(plain))


def has_trainable_bias(plain: Plain) -> bool:
    """Whether the bias is a column of the matrix."""
    given: Tensor | None = plain.bias
    return given is not None and given.requires_grad


def matrices_of(plain: Plain) -> Float64[Tensor, "groups m n"]:
    """Return the matrices ``[W b]``, or ``W`` if no bias is trained."""
    weight, groups = plain.weight.detach(), groups_of(plain)
    matrices = weight.reshape(groups, len(weight) // groups, -1).double().cpu()
    if plain.bias is None or not plain.bias.requires_grad:
        return matrices
    column = plain.bias.detach().double().cpu().reshape(groups, -1, 1)
    return torch.cat([matrices, column], dim=2)


def classical(plain: Plain, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the outputs of the layer with other tensors, by torch."""
    if isinstance(plain, nn.Conv2d):
        return cast(Tensor, plain._conv_forward(x, weight, bias))
    return functional.linear(x, weight, bias)


def vectors_of(plain: Plain, x: Tensor) -> Float64[Tensor, "groups B inputs"]:
    """Return what each matrix acts on, without the 1 of the bias; of images every patch."""
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
    """Return the outputs of all matrices in the shape that the layer returns."""
    if isinstance(plain, nn.Linear):
        return outputs.reshape(shape)
    groups, _, channels = outputs.shape
    by_image = outputs.reshape(groups, -1, math.prod(shape[-2:]), channels)
    return by_image.permute(1, 0, 3, 2).reshape(shape)
