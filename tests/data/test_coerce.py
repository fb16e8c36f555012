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
def test_every_form_of_the_same_samples(data):
    dataset = as_dataset(data)
    assert (dataset.task, dataset.num_classes, dataset.test) == ("classification", 3, None)
    torch.testing.assert_close(dataset.train.x, X, rtol=0, atol=0)
    torch.testing.assert_close(dataset.train.y, LABELS, rtol=0, atol=0)


def test_named_datasets_pass():
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
def test_precision_is_kept_unless_another_is_asked_for(dtype):
    assert as_dataset((X.to(dtype), X.to(dtype))).train.x.dtype == dtype
    cast = as_dataset((X.double(), X.half()), dtype=dtype).train
    assert (cast.x.dtype, cast.y.dtype) == (dtype, dtype)


def test_lists_have_the_precision_of_python():
    assert as_dataset(([[0.1], [0.2]], [1.0, 2.0])).train.x.dtype == torch.float64


def test_tokens_stay_integers():
    tokens = np.array([[3, 1], [0, 2]], dtype=np.int32)
    assert as_dataset((tokens, [0, 1]), dtype=torch.float64).train.x.dtype == torch.int64
    assert as_dataset((torch.tensor([3, 1]), [0, 1])).train.x.tolist() == [3, 1]


def test_boolean_features_are_real():
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


def test_read_only_arrays_pass_without_warning():
    x = X.numpy().copy()
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_dataset((x, LABELS))


def test_no_graph_is_kept():
    leaf = X.clone().requires_grad_()
    assert not as_dataset((leaf * 2, LABELS)).train.x.requires_grad
    assert not check_batch(leaf, LABELS)[0].requires_grad


def test_batches_are_not_copied():
    x, y = check_batch(X, LABELS)
    assert (x.data_ptr(), y.data_ptr()) == (X.data_ptr(), LABELS.data_ptr())


def with_value(row: int, value: float) -> torch.Tensor:
    x = X.clone()
    x[row, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (with_value(2, NAN), LABELS, r"`x` must be finite, but holds 1 NaN .* value, .* row 2. Dr"),
        (torch.full((4, 3), INF), LABELS, r"`x` .* holds 12 NaN or infinite values, .* row 0"),
        (with_value(3, -INF).numpy(), LABELS, r"`x` must be finite, .* the first in row 3"),
        (X, [0.0, NAN, 1.0, INF], r"`y` must be finite, but holds 2 NaN .* the first in row 1"),
        (X, LABELS[:3], r"`x` and `y` must be of equal length, but have 4 and 3 rows"),
        (X[:0], LABELS[:0], "`x` must hold at least one sample, but is empty"),
        ([], [], "`x` must hold at least one sample, but is empty"),
        (X, LABELS[:0], "`y` must hold at least one sample, but is empty"),
        (X, torch.zeros(4, 0), r"`y` must hold targets, but has shape \(4, 0\)"),
        (X[:, 0], LABELS, r"`x` must have shape \(samples, features\), .*`x.reshape\(-1, 1\)`"),
        (X, torch.tensor(1.0), "`y` must have one row for each sample, but is one number"),
        (X + 0j, LABELS, "`x` must hold real numbers .* dtype torch.complex64. Pass real and imag"),
        (X.numpy() + 0j, LABELS, r"`x` .* has dtype complex64. .* `abs\(x\)`"),
        (X.numpy().astype(object), LABELS, "`x` .* has dtype object. Convert it to float32"),
        (X, ["cat", "dog", "cat", "cow"], "`y` .* has dtype <U3. Encode labels as integers 0, 1"),
        (X, [None, 1, 2, 3], "`y` .* has dtype object. Encode labels"),
        ([[1.0, 2.0], [3.0]], [0, 1], "`x` must be a regular table of numbers"),
        ([X[0], X.clone().requires_grad_()[1]], [0, 1], "`x` must be a regular table of numbers"),
        (X.to_sparse(), LABELS, r"`x` must be a dense tensor, but is sparse .* `.to_dense\(\)`"),
        (X.to("meta"), LABELS, r"`x` must be a dense tensor, but holds no values \(meta device\)"),
        (np.ma.masked_less(X.numpy(), 2), LABELS, "`x` must hold all its values, but 2 are masked"),
        (X, [0, 1, -1, -3], "`y` must hold labels of 0 or more, but row 3 holds -3. Encode"),
        (X, np.uint64([0, 1, 2, 2**63]), f"`y` must fit int64, but holds {2**63}"),
        (X, torch.eye(4).long(), r"`y` must hold one class label .* shape \(4, 4\). Pass `y.argm"),
    ],
)
def test_data_that_cannot_be_trained_on(x, y, message):
    with pytest.raises(DataError, match=message):
        as_dataset((x, y))
    with pytest.raises(DataError):
        check_batch(x, y)


@pytest.mark.skipif(np.longdouble(0).itemsize == 8, reason="longdouble is float64 here")
def test_more_precision_than_torch_has_is_not_cut_off():
    with pytest.raises(DataError, match=r"`x` .* has dtype float\d+. Convert it to float32"):
        as_dataset((X.numpy().astype(np.longdouble), LABELS))


@pytest.mark.parametrize("data", [X, X.numpy(), None, "iris", {"x": X}, iter([X, LABELS])])
def test_things_that_are_no_data(data):
    message = rf"`data` must be a Dataset, a pair .* but is of type {type(data).__name__}\."
    with pytest.raises(ArgumentTypeError, match=message):
        as_dataset(data)


@pytest.mark.parametrize("x", [None, "text", {1.0}, 3])
def test_things_that_are_no_samples(x):
    message = rf"`x` must be a tensor, an array or a list .* but is of type {type(x).__name__}\."
    with pytest.raises(ArgumentTypeError, match=message):
        as_dataset((x, LABELS))


def test_pairs_of_another_length():
    with pytest.raises(
        DataError, match=r"A pair \(x, y\) must have two members, but the tuple has 3"
    ):
        as_dataset((X, LABELS, X))
    with pytest.raises(DataError, match=r"two members, but the TensorDataset has 1"):
        as_dataset(TensorDataset(X))


def test_values_of_a_dataset_are_checked():
    good, bad = Part(X, LABELS), Part(with_value(1, NAN), LABELS)
    with pytest.raises(DataError, match=r"`test.x` must be finite, .* the first in row 1"):
        as_dataset(Dataset("mine", "classification", good, bad, num_classes=3))
    with pytest.raises(DataError, match=r"`train.y` must hold labels 0 to 1, but row 0 holds 2"):
        as_dataset(Dataset("mine", "classification", good, num_classes=2))


def test_prefix_names_the_batch():
    with pytest.raises(DataError, match=r"`batch.x` and `batch.y` must be .* have 4 and 2 rows"):
        check_batch(X, LABELS[:2], prefix="batch.")


@pytest.mark.wrong_types
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32"])
def test_unusable_dtype(dtype):
    with pytest.raises(ArgumentError, match=f"`dtype` must be a real torch dtype, but is {dtype}"):
        as_dataset((X, LABELS), dtype=dtype)


def test_overflow_of_a_smaller_dtype():
    with pytest.raises(DataError, match=r"`train.x` must be finite, .* overflow torch.float16"):
        as_dataset((X * 1e6, LABELS), dtype=torch.float16)
