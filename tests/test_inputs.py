from __future__ import annotations

import pytest
import torch

from hybridopt._inputs import (
    call,
    concatenate,
    is_real,
    map_inputs,
    named_tensors,
    num_samples,
    shown,
    split_rows,
    take_rows,
    tensors_of,
)

A, B = torch.arange(15.0).reshape(5, 3), torch.arange(5)


@pytest.mark.parametrize("x", [A, (A, B), {"b": B, "a": A}])
def test_rows_split_and_join(x):
    pieces = list(split_rows(x, 2))
    assert [num_samples(piece) for piece in pieces] == [2, 2, 1]
    joined = concatenate(pieces)
    assert type(joined) is type(x)
    assert named_tensors("x", joined).keys() == named_tensors("x", x).keys()
    pairs = zip(tensors_of(joined), tensors_of(x), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    pairs = zip(tensors_of(take_rows(x, [4, 1])), tensors_of(x), strict=True)
    assert all(torch.equal(one, other[[4, 1]]) for one, other in pairs)
    assert is_real(x) == isinstance(x, torch.Tensor)
    assert is_real(map_inputs(torch.Tensor.double, x))


def test_calls_and_names():
    def pair(a, b=B):
        return a.sum() - b.sum()

    assert call(pair, A) == call(pair, (A, B)) == call(pair, {"b": B, "a": A})
    assert list(named_tensors("x", (A, B))) == ["x[0]", "x[1]"]
    assert list(named_tensors("x", {"b": B})) == ["x['b']"]
    assert shown(A) == "shape (5, 3) of torch.float32"
    assert shown((A, B)) == "2 inputs of shapes (5, 3) of torch.float32, (5,) of torch.int64"
