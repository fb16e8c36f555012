from __future__ import annotations

import sys
from types import ModuleType

import pytest

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, MissingExtraError, OutputError
from hybridopt.training import TensorBoard


class Writer:
    """Replacement for torch's writer that stores its points."""

    made: list[Writer]

    def __init__(self, log_dir, purge_step):
        self.log_dir, self.purge_step = log_dir, purge_step
        self.points, self.open = {}, True
        self.made.append(self)

    def add_scalar(self, name, value, global_step):
        self.points.setdefault(name, []).append((global_step, value))

    def flush(self):
        assert self.open

    def close(self):
        self.open = False


@pytest.fixture
def writers(monkeypatch):
    """List of all writers that were made."""
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = type("SummaryWriter", (Writer,), {"made": []})
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return module.SummaryWriter.made


def test_every_quantity_has_a_curve(writers, data, make_quantum, tmp_path):
    network = make_quantum(shots=100)
    history = ho.fit(
        network, data, epochs=2, scheduler="cosine", callbacks=[TensorBoard(tmp_path / "a" / "b")]
    )
    (writer,) = writers
    assert (writer.log_dir, writer.open) == (str(tmp_path / "a" / "b"), False)
    curves = {
        "loss/train": history.train_loss,
        "loss/test": history.test_loss,
        "metric/accuracy": history.metric,
        "lr": history.lr,
        "cost/seconds": history.seconds,
        "cost/settings": history.settings,
        "cost/shots": history.shots,
        "cost/runs": history.runs,
    }
    assert writer.points == {name: [(1, v[0]), (2, v[1])] for name, v in curves.items()}


def test_missing_values_have_no_curve(writers, data, make_network, tmp_path):
    ho.fit(
        make_network(), (data.train.x, data.train.y), epochs=1, callbacks=[TensorBoard(tmp_path)]
    )
    assert "loss/test" not in writers[0].points


def test_resumed_run_continues_its_curves(writers, data, make_network, tmp_path):
    for epochs in (2, 3):
        ho.fit(
            make_network(), data, epochs=epochs, checkpoint=tmp_path / "run.pt",
            callbacks=[TensorBoard(tmp_path / "curves")],
        )  # fmt: skip
    assert [writer.purge_step for writer in writers] == [1, 3]
    assert [step for step, _ in writers[1].points["lr"]] == [3]


def test_file_is_closed_after_an_error(writers, data, make_network, tmp_path):
    def fail(record, network):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ho.fit(make_network(), data, callbacks=[TensorBoard(tmp_path), fail])
    assert not writers[0].open


def test_torch_writes_the_file(data, make_network, tmp_path):
    pytest.importorskip("tensorboard")
    ho.fit(make_network(), data, epochs=2, callbacks=[TensorBoard(tmp_path)])
    (file,) = tmp_path.glob("events.out.tfevents.*")
    assert b"loss/train" in file.read_bytes()


@pytest.mark.wrong_types
def test_refused(writers, tmp_path):
    with pytest.raises(ArgumentTypeError, match="`folder`"):
        TensorBoard(3)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        TensorBoard(tmp_path / "file")


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        TensorBoard(tmp_path / "curves")
    assert not (tmp_path / "curves").exists()
