"""Conversion of tensors, arrays and lists to a Dataset, and refusals of bad samples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from hybridopt.data import Dataset, Part, as_dataset, load_dataset
from hybridopt.data.coerce import check_batch
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError

X = torch.arange(12.0).reshape(4, 3)
LABELS = torch.tensor([2, 0, 1, 2])
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "data",
    [
        (X, LABELS),
        [X, LABELS],
        (X.numpy(), LABELS.numpy()),
        (X.numpy().astype(">f4"), LABELS.numpy().astype(np.uint8)),
        (X.numpy()[::-1][::-1], LABELS.int()),
        (X, [[2], [0], [1], [2]]),
        ([row.numpy() for row in X], LABELS.tolist()),
        TensorDataset(X, LABELS),
        Part(X, LABELS),
        Dataset("mine", "classification", Part(X, LABELS), num_classes=3),
    ],
)
def test_all_forms_of_the_same_samples_are_equal(data):
    dataset = as_dataset(data)
    assert (dataset.task, dataset.num_classes, dataset.test) == ("classification", 3, None)
    torch.testing.assert_close(dataset.train.x, X, rtol=0, atol=0)
    torch.testing.assert_close(dataset.train.y, LABELS, rtol=0, atol=0)


def test_named_dataset_passes():
    data = load_dataset("wine")
    checked = as_dataset(data)
    assert repr(checked) == repr(data)
    assert torch.equal(checked.test.x, data.test.x)
    assert checked.x_scaling is data.x_scaling


def test_real_targets_become_a_column():
    dataset = as_dataset((X, X[:, 0]))
    assert (dataset.task, dataset.num_outputs) == ("regression", 1)
    torch.testing.assert_close(dataset.train.y, X[:, :1], rtol=0, atol=0)
    assert as_dataset((X, X[:, :2])).train.y.shape == (4, 2)


def test_boolean_targets_are_classes():
    dataset = as_dataset((X, np.array([False, False, False, False])))
    assert (dataset.task, dataset.num_classes) == ("classification", 2)
    assert as_dataset((X, [True, False, True, True])).train.y.tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_precision_is_kept_unless_a_dtype_is_given(dtype):
    assert as_dataset((X.to(dtype), X.to(dtype))).train.x.dtype == dtype
    cast = as_dataset((X.double(), X.half()), dtype=dtype).train
    assert (cast.x.dtype, cast.y.dtype) == (dtype, dtype)
    assert as_dataset(([[0.1], [0.2]], [1.0, 2.0])).train.x.dtype == torch.float64


def test_tokens_stay_integers_and_booleans_become_real():
    tokens = np.array([[3, 1], [0, 2]], dtype=np.int32)
    assert as_dataset((tokens, [0, 1]), dtype=torch.float64).train.x.dtype == torch.int64
    assert as_dataset((torch.tensor([3, 1]), [0, 1])).train.x.tolist() == [3, 1]
    x = as_dataset((X > 4, LABELS)).train.x
    torch.testing.assert_close(x, (X > 4).float(), rtol=0, atol=0)


@pytest.mark.parametrize("as_array", [False, True])
def test_caller_and_dataset_share_no_memory(as_array):
    x, y = X.clone(), X[:, :1].clone()
    dataset = as_dataset((x.numpy(), y.numpy()) if as_array else (x, y))
    x.fill_(9), y.fill_(9)
    torch.testing.assert_close(dataset.train.x, X, rtol=0, atol=0)
    dataset.train.x.zero_()
    assert (x == 9).all()


def test_read_only_array_gives_no_warning():
    x = X.numpy().copy()
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_dataset((x, LABELS))


def test_samples_are_detached_and_batches_not_copied():
    leaf = X.clone().requires_grad_()
    assert not as_dataset((leaf * 2, LABELS)).train.x.requires_grad
    x, y, _ = check_batch(leaf, LABELS)
    assert not x.requires_grad
    assert (x.data_ptr(), y.data_ptr()) == (leaf.data_ptr(), LABELS.data_ptr())


def with_value(row: int, value: float) -> torch.Tensor:
    x = X.clone()
    x[row, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (with_value(2, NAN), LABELS, "`x` .*1 NaN.*row 2"),
        (torch.full((4, 3), INF), LABELS, "`x` .*12 NaN.*row 0"),
        (with_value(3, -INF).numpy(), LABELS, "`x` .*1 NaN.*row 3"),
        (X, [0.0, NAN, 1.0, INF], "`y` .*2 NaN.*row 1"),
        (X, LABELS[:3], "`x` and `y` .*4.*3"),
        ([], [], "`x` .*one sample"),
        (X, LABELS[:0], "`y` .*one sample"),
        (X, torch.zeros(4, 0), r"`y` .*\(4, 0\)"),
        (X[:, 0], LABELS, r"`x` .*`x.reshape\(-1, 1\)`"),
        (X, torch.tensor(1.0), "`y` .*one row"),
        (X + 0j, LABELS, "`x` .*torch.complex64"),
        (X.numpy() + 0j, LABELS, r"`x` .*complex64.*`abs\(x\)`"),
        (X.numpy().astype(object), LABELS, "`x` .*object"),
        (X, ["cat", "dog", "cat", "cow"], "`y` .*<U3"),
        ([[1.0, 2.0], [3.0]], [0, 1], "`x` .*numpy"),
        ([X[0], X.clone().requires_grad_()[1]], [0, 1], "`x` .*numpy"),
        (X.to_sparse(), LABELS, r"`x` .*`.to_dense\(\)`"),
        (X.to("meta"), LABELS, "`x` .*meta device"),
        (np.ma.masked_less(X.numpy(), 2), LABELS, "`x` .*2.* masked"),
        (X, [0, 1, -1, -3], "`y` .*row 3.* -3"),
        (X, np.uint64([0, 1, 2, 2**63]), f"`y` .*{2**63}"),
        (X, torch.eye(4).long(), r"`y` .*\(4, 4\).*`y.argmax"),
    ],
)
def test_unusable_samples_are_refused(x, y, message):
    with pytest.raises(DataError, match=message):
        as_dataset((x, y))
    with pytest.raises(DataError):
        check_batch(x, y)


@pytest.mark.skipif(np.longdouble(0).itemsize == 8, reason="longdouble is float64 here")
def test_precision_beyond_float64_is_refused():
    with pytest.raises(DataError, match=r"`x` .*float\d+"):
        as_dataset((X.numpy().astype(np.longdouble), LABELS))


@pytest.mark.parametrize("data", [X, None, "iris", iter([X, LABELS])])
def test_data_of_another_type_is_refused(data):
    with pytest.raises(ArgumentTypeError, match=f"`data` .*{type(data).__name__}"):
        as_dataset(data)


@pytest.mark.parametrize("x", [None, "text", {1.0}, 3])
def test_samples_of_another_type_are_refused(x):
    with pytest.raises(ArgumentTypeError, match=f"`x` .*{type(x).__name__}"):
        as_dataset((x, LABELS))


@pytest.mark.parametrize(
    ("data", "got"),
    [
        *(((X, X, LABELS, X), "tuple"), ((X,), "tuple"), (TensorDataset(X), "TensorDataset")),
        *(({"x": X}, "'x'"), ({"x": X, "y": LABELS, "label": LABELS}, "'label'"), ({}, "empty")),
        ({"y": LABELS}, "'y'"),
    ],
)
def test_data_must_have_inputs_and_targets(data, got):
    with pytest.raises(DataError, match=rf"`data` must .*\b[xy]\b.*{got}"):
        as_dataset(data)


def test_values_of_a_dataset_are_checked():
    good, bad = Part(X, LABELS), Part(with_value(1, NAN), LABELS)
    with pytest.raises(DataError, match=r"`test\.x` .*row 1"):
        as_dataset(Dataset("mine", "classification", good, bad, num_classes=3))
    with pytest.raises(DataError, match=r"`train\.y` .*row 0.* 2"):
        as_dataset(Dataset("mine", "classification", good, num_classes=2))
    with pytest.raises(DataError, match=r"`batch\.x` and `batch\.y` .*4.*2"):
        check_batch(X, LABELS[:2], prefix="batch.")


@pytest.mark.wrong_types
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32"])
def test_unusable_dtype_is_refused(dtype):
    with pytest.raises(ArgumentError, match=f"`dtype` .*{dtype}"):
        as_dataset((X, LABELS), dtype=dtype)


def test_overflow_of_the_dtype_is_refused():
    with pytest.raises(DataError, match=r"`train\.x` .*torch\.float16"):
        as_dataset((X * 1e6, LABELS), dtype=torch.float16)


def test_a_test_part_in_every_form():
    x, y = torch.rand(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    pair = (torch.rand(4, 3), torch.tensor([2, 0, 1, 2]))
    forms = (pair, Part(*pair), TensorDataset(*pair), as_dataset(pair))
    for test in forms:
        data = as_dataset((x, y), test=test)
        assert torch.equal(data.test.x, pair[0])
        assert (len(data.train), data.num_classes) == (6, 3)
    with pytest.raises(ArgumentError, match="`test`"):
        as_dataset(as_dataset((x, y), test=pair), test=pair)
    with pytest.raises(DataError, match=r"`test`.*classification"):
        as_dataset((x, y), test=(pair[0], torch.rand(4)))
    with pytest.raises(DataError, match="columns"):
        as_dataset((x, y), test=(torch.rand(4, 2), pair[1]))


def test_a_declared_number_of_classes_holds_for_the_test_part():
    part = Part(torch.rand(3, 2), torch.tensor([0, 1, 0]))
    data = Dataset("two", "classification", part, None, 2)
    with pytest.raises(DataError, match=r"`test.y` must hold labels 0 to 1"):
        as_dataset(data, test=(torch.rand(2, 2), torch.tensor([1, 2])))
    with pytest.raises(DataError, match="labels 0 to 2"):
        as_dataset(load_dataset("iris", test_size=0), test=(torch.rand(2, 4), torch.tensor([5, 5])))
