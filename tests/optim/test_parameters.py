"""Parameters as one vector and back."""

from __future__ import annotations

import torch

from hybridopt.optim.parameters import FlatParameters


def test_reading_and_writing_changes_no_bit_in_any_precision():
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    params = [torch.randn(2, 3, 4).to(dtype) for dtype in dtypes] + [torch.randn(())]
    before = [p.clone() for p in params]
    flat = FlatParameters(params)
    assert flat.size == 3 * 24 + 1
    vector = flat.read()
    flat.write(torch.zeros_like(vector))
    assert not any(p.any() for p in params)
    flat.write(vector)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


def test_writing_is_seen_by_version_counters():
    """Networks that keep something computed from their weights look there."""
    p = torch.zeros(3)
    flat, version = FlatParameters([p]), p._version
    flat.write(torch.ones(3, dtype=torch.float64))
    assert p._version > version


def test_join_and_split_are_inverse_and_ordered():
    flat = FlatParameters([torch.zeros(2, 2), torch.zeros(3)])
    vectors = torch.arange(14, dtype=torch.float64).reshape(2, 7)
    pieces = flat.split(vectors)
    assert [piece.shape for piece in pieces] == [(2, 2, 2), (2, 3)]
    assert pieces[1].tolist() == [[4, 5, 6], [11, 12, 13]]
    assert torch.equal(flat.join(pieces), vectors)


def test_resolution_is_that_of_the_coarsest():
    params = [torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float32)]
    assert FlatParameters(params).resolution == 2.0**-23
