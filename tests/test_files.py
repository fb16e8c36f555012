"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hybridopt import _files
from hybridopt._files import check_writable, output_folder, write_text, write_whole
from hybridopt.errors import OutputError


@pytest.fixture(autouse=True, params=["nameless", "beside"])
def way(request, monkeypatch):
    """Both ways to write: through a file without a name, and where there are none."""
    if request.param == "beside":
        monkeypatch.setattr(_files, "_nameless", lambda folder: None)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("no files without a name here")


def test_text_is_read_as_written(tmp_path):
    path = tmp_path / "a" / "b" / "größe.txt"
    assert write_text(path, "θ → π/2\n") == path
    assert path.read_bytes() == "θ → π/2\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_old_content_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "result"
    write_text(path, "a long old text")
    write_whole(str(path), lambda stream: stream.write(b"new"))
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_writing_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "result"
    write_text(path, "old")

    def broken(stream):
        stream.write(b"half of it")
        raise error

    with pytest.raises(error):
        write_whole(path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_our_error_and_leaves_nothing(tmp_path):
    def full(stream):
        raise OSError(28, "No space left on device")

    with pytest.raises(
        OutputError, match=r"Cannot write .*result: .*No space left.* another place"
    ):
        write_whole(tmp_path / "result", full)
    assert list(tmp_path.iterdir()) == []


def test_folder_in_the_way_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "result").mkdir()
    with pytest.raises(OutputError, match=r"Cannot write .*result.*Choose another place\."):
        write_text(tmp_path / "result", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_file_in_place_of_the_parent_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"Cannot write .*Choose another place\."):
        write_text(tmp_path / "file" / "result", "x")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("use", [lambda path: write_text(path, "x"), check_writable, output_folder])
def test_names_that_no_file_can_have_are_refused(use, name, tmp_path):
    for path in (tmp_path / name, tmp_path / name / "result"):
        with pytest.raises(OutputError, match=r"Cannot write .*Choose another name\."):
            use(path)
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_ordinary_mode(tmp_path):
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
@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no files without a name here")
@pytest.mark.parametrize("way", ["nameless"], indirect=True)
def test_a_process_killed_while_it_writes_leaves_nothing(tmp_path):
    path = write_text(tmp_path / "result", "old")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]
    assert path.read_text() == "old"


def test_without_a_way_to_name_it(tmp_path, monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda self: not str(self).startswith("/proc/") and exists(self)
    )
    path = write_text(tmp_path / "result", "x")
    assert path.read_text() == "x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_output_folder_is_made_and_left_empty(tmp_path):
    folder = output_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert output_folder(folder) == folder


def test_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"Cannot write to the output folder .*another folder\."):
        output_folder(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Cannot write to the output folder"):
            output_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)
