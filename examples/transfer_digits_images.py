"""Images of transfer_digits.py: two sources, both with 8 by 8 pixels."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

import hybridopt as ho

INK, MUTED = "#1f2933", "#7b8794"
TASKS = {
    "a": "(a) digits 0-4 to digits 5-9",
    "b": "(b) MNIST to scikit-learn's digits",
}


@dataclass(frozen=True)
class Images:
    """Images of a task, scaled in the same way, 64 pixels each.

    Attributes:
        source: Images for the training of the body.
        pool: Images of the target from which labelled images are drawn.
        validation: Images for the choice of learning rates.
        test: Images for the final test only.
    """

    source: ho.data.Part
    pool: ho.data.Part
    validation: ho.data.Part
    test: ho.data.Part

    @property
    def source_classes(self) -> int:
        """Number of classes of the source."""
        return int(self.source.y.max()) + 1

    @property
    def target_classes(self) -> int:
        """Number of classes of the target."""
        return int(self.test.y.max()) + 1


def raw(name: str) -> ho.data.Part:
    """Return all images in their original units."""
    return ho.load_dataset(name, test_size=0, standardize=False).train


def reduced(images: Tensor) -> Tensor:
    """Reduce images of MNIST to the format of scikit-learn: 8 by 8 grey values from 0 to 16.

    The digits of scikit-learn fill the height of their frame. Those of MNIST are in the middle of
    28 by 28 pixels, so a square around each digit is cut out and averaged.
    """
    small = [adaptive_avg_pool2d(_cut_out(image), 8) for image in images.reshape(-1, 1, 28, 28)]
    return (torch.stack(small) * (16 / 255)).flatten(1)


def _cut_out(image: Tensor) -> Tensor:
    """Return the smallest square around a digit, with the digit in its middle."""
    rows, columns = (image[0] > 0).nonzero(as_tuple=True)
    bounds = [(int(places.min()), int(places.max()) + 1) for places in (rows, columns)]
    side = max(high - low for low, high in bounds)
    top, left = (28 + (low + high - side) // 2 for low, high in bounds)
    return pad(image, (28, 28, 28, 28))[:, top : top + side, left : left + side]


def scaled(x: Tensor) -> Tensor:
    """Scale grey values from 0 to 16 to a range around 0, equal for both sources."""
    return x / 8 - 0.6


@functools.cache
def images(task: str) -> Images:
    """Return the images of a task; the parts of the target have a fixed seed."""
    digits = raw("digits")
    x, y = scaled(digits.x), digits.y
    if task == "a":
        low = y < 5
        source, x, y = ho.data.Part(x[low], y[low]), x[~low], y[~low] - 5
        sizes = (550, 100)
    else:
        mnist = raw("mnist5k")
        source, sizes = ho.data.Part(scaled(reduced(mnist.x)), mnist.y), (800, 250)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    parts = torch.tensor_split(order, (sizes[0], sum(sizes)))
    return Images(source, *(ho.data.Part(x[rows], y[rows]) for rows in parts))


def show_images(axes: Axes, task: str) -> None:
    """Draw five images of the source, an arrow, and five images of the target."""
    parts = images(task)
    gap = torch.full((8, 2), -0.6)
    picture: list[Tensor] = []
    for part in (parts.source, parts.test):
        for label in range(5):
            first = int((part.y == label).nonzero()[0])
            picture += [part.x[first].reshape(8, 8), gap]
        picture += [torch.full((8, 12), -0.6)] if part is parts.source else []
    axes.imshow(torch.cat(picture, dim=1).numpy(), cmap="Greys", vmin=-0.6, vmax=1.4)
    axes.annotate("", xy=(60, 3.5), xytext=(51, 3.5), arrowprops={"arrowstyle": "->", "color": INK})
    axes.set_title(TASKS[task], loc="left", fontsize=11, color=INK)
    axes.set_axis_off()


def plain_frame(axes: Axes) -> None:
    """Leave lines at the left and at the bottom only, with a grid of levels."""
    axes.grid(axis="y", color="#e4e7eb")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
