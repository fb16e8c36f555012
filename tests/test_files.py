"""Files are written completely or not at all."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import hybridopt as ho
from hybridopt import _files
from hybridopt._files import (
    check_folder,
    check_writable,
    output_folder,
    read_bytes,
    write_bytes,
    write_text,
    write_whole,
)
from hybridopt.errors import ArgumentError, CheckpointError, CircuitError, OutputError


@pytest.fixture(autouse=True, params=["nameless", "hidden"])
def way(request, monkeypatch):
    """Write through a file without a name, or through a hidden file."""
    if request.param == "hidden":
        monkeypatch.setattr(_files, "_nameless", lambda folder: None)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no files without a name")


def test_text_is_written_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "größe.txt"
    assert write_text(path, "θ → π/2\n") == path
    assert path.read_bytes() == "θ → π/2\n".encode()
    write_whole(str(path), lambda stream: stream.write(b"new"))
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_writing_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "result"
    write_text(path, "old")

    def broken(stream):
        stream.write(b"half of it")
        raise error

    with pytest.raises(error):
        write_whole(path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_our_error(tmp_path):
    def full(stream):
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"result.*No space left"):
        write_whole(tmp_path / "result", full)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_made_before_it_is_opened(tmp_path):
    seen = []

    def write(stream):
        stream.write(b"half")
        seen.extend(tmp_path.iterdir())
        stream.write(b" and half")

    assert write_whole(tmp_path / "result", write).read_bytes() == b"half and half"
    assert seen == []


def test_limit_of_the_file_size_is_our_error(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OutputError, match=r"result.*File too large"):
            write_bytes(tmp_path / "result", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_only_regular_files_of_some_size_are_read(tmp_path):
    path = write_bytes(tmp_path / "result", b"12345")
    assert read_bytes(path, most=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_bytes(path, most=4)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", Path(os.devnull), tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError, match=r"not a file|directory"):
            read_bytes(other)


@pytest.mark.parametrize("name", ["folder", "file/result"])
def test_target_that_cannot_be_written_is_refused(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=name):
        write_text(tmp_path / name, "x")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}


def special_file(kind, folder):
    path = folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.symlink_to("/dev/full")
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda path: write_text(path, "x"), OutputError),
        (check_writable, OutputError),
        (lambda path: ho.fit(nn.Linear(4, 3), "iris", checkpoint=path), OutputError),
        (lambda path: ho.save(ho.to_quantum(nn.Linear(1, 1)), path), OutputError),
        (ho.load, CheckpointError),
        (ho.load_circuit, CircuitError),
        (lambda path: ho.transfer(nn.Linear(4, 3), num_outputs=2, state_dict=path), ArgumentError),
        (ho.load_study, CheckpointError),
    ],
)
def test_special_files_are_refused_without_waiting(use, error, kind, tmp_path):
    path = special_file(kind, tmp_path)
    before = path.stat().st_mode
    with pytest.raises(error, match=rf"/{kind}\b"):
        use(path)
    assert path.stat().st_mode == before
    assert [entry.name for entry in tmp_path.iterdir()] == [kind]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("use", [lambda path: write_text(path, "x"), check_writable, check_folder])
def test_impossible_file_name_is_refused(use, name, tmp_path):
    for path in (tmp_path / name, tmp_path / name / "result"):
        with pytest.raises(OutputError, match=re.escape(repr(str(path)))):
            use(path)
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_default_mode(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_text(tmp_path / "result", "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


KILLED = """
import os, signal, sys
from hybridopt._files import write_whole

def write(stream):
    stream.write(b"half of it")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_whole(sys.argv[1], write)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without a name")
@pytest.mark.parametrize("way", ["nameless"], indirect=True)
def test_killed_process_leaves_no_file(tmp_path):
    path = write_text(tmp_path / "result", "old")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]
    assert path.read_text() == "old"


def test_system_without_proc(tmp_path, monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda self: not str(self).startswith("/proc/") and exists(self)
    )
    path = write_text(tmp_path / "result", "x")
    assert path.read_text() == "x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_output_folder_is_created_empty(tmp_path):
    folder = output_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert output_folder(folder) == folder
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"folder .*/file"):
        output_folder(tmp_path / "file")


def test_checks_create_nothing(tmp_path):
    (tmp_path / "old").mkdir()
    for folder in (tmp_path / "old", tmp_path / "old" / "a" / "b", tmp_path / "new"):
        check_folder(folder)
        check_writable(folder / "file")
    with pytest.raises(OutputError, match="too long"):
        check_folder(tmp_path / "new" / ("n" * 300))
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=tmp_path.name):
            output_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)
