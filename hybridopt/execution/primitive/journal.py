"""Journal of jobs: a folder from which a killed program continues without paying twice.

The folder has a file ``journal.json`` with the seed, and for each job an intent (``.json``), which
is written before the job is sent, gets the id of the job when it is known, and is followed by the
result (``.npz``). All files are written whole.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary, finalize

import numpy as np

from hybridopt._files import output_folder, read_bytes, write_text, write_whole
from hybridopt.errors import CheckpointError, UnsupportedError
from hybridopt.execution.job import Stream

HEADER = "journal.json"
FORMAT = {"format": "hybridopt journal", "version": 1}
WORDS = {  # fields of an intent, in the words of the user
    "kind": "another kind of primitive",
    "circuit": "another circuit, layout or readout",
    "shots": "another number of shots, or another precision",
    "rows": "another number of rows (another batch, or another `max_rows`)",
    "angles": "other angles (other weights or samples)",
}
Identity = Mapping[str, object]
Arrays = dict[str, np.ndarray]


def new_key() -> str:
    """Return a key that no other job has, short enough for a tag."""
    return secrets.token_hex(10)


@dataclass
class Entry:
    """Job in the journal.

    Attributes:
        key: Unique key of the job, which is its tag at the service.
        job_id: Id of the job at the service; None if it is not known.
        is_new: Whether the job has not been sent before, as far as the journal knows.
    """

    path: Path | None  # of the intent
    key: str
    identity: Identity
    job_id: str | None = None
    is_new: bool = True

    def write(self) -> None:
        """Write the intent, with the id of the job if it is known."""
        if self.path is not None:
            content = {"key": self.key, "job_id": self.job_id, **self.identity}
            write_text(self.path, json.dumps(content, indent=1))

    def save(self, arrays: Arrays) -> None:
        """Write the result."""
        if self.path is not None:
            content: dict[str, Any] = {**arrays}
            path = self.path.with_suffix(".npz")
            write_whole(path, lambda stream: np.savez(stream, **content))

    def load(self) -> Arrays | None:
        """Return the result; None if it has not come."""
        path = None if self.path is None else self.path.with_suffix(".npz")
        if path is None or not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return self._checked(dict(stored))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"{path} is damaged ({type(error).__name__}). Delete this file. The job is then "
                "read from the service again."
            ) from error

    def _checked(self, arrays: Arrays) -> Arrays:
        """Return the arrays of a result; raise ValueError or KeyError for others."""
        values, variances, seconds = (arrays[name] for name in ("values", "variances", "seconds"))
        is_table = values.ndim == 2 and len(values) == self.identity["rows"]
        kinds = {array.dtype.kind for array in (values, variances, seconds)}
        if not is_table or variances.shape != values.shape or seconds.size != 1 or kinds != {"f"}:
            raise ValueError("other arrays than those of a result")
        return arrays


@dataclass
class Journal:
    """Folder of jobs that belong to one executor at a time."""

    folder: Path
    lock: FolderLock
    entropy: int | None = None  # of the random stream; None for a new journal
    _visits: Counter[tuple[int, ...]] = field(default_factory=Counter)
    _found: bool = False  # whether a job of this process was in the journal, or is in it now
    _calls: list[int] = field(default_factory=list)  # of the jobs that were there at the start
    _process: int = field(default_factory=os.getpid)

    def __deepcopy__(self, memo: dict[int, Any]) -> Journal:
        return self  # with its lock, which copies of executors share

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Open a folder, which no other process may have open."""
        folder = output_folder(folder).resolve()
        journal = cls(folder, FolderLock.of(folder))
        header = folder / HEADER
        if header.exists():
            content = _read(header)
            if {name: content.get(name) for name in FORMAT} != FORMAT:
                raise CheckpointError(
                    f"{header} must be the header of a journal of this version. Use another folder."
                )
            journal.entropy = _seed_in(header, content)
        names = (path.name.split("-")[0] for path in folder.glob("*-*.json"))
        journal._calls = sorted({int(name) for name in names if name.isdigit()})
        if journal._calls and journal.entropy is None:
            raise CheckpointError(
                f"{header} must be there, because {folder} has jobs. Use another folder."
            )
        _OWNERS[str(folder)] = journal  # an older executor of this process loses it
        return journal

    def entry(self, entropy: int, stream: Stream, identity: Identity) -> Entry:
        """Return the entry of the next job at a position of the random stream.

        Raises:
            CheckpointError: If the journal belongs to another run, or is damaged.
            UnsupportedError: If another executor or process has the journal.
        """
        self._check_owner()
        self._check_seed(entropy)
        at = (stream.call, stream.first_shared, stream.first_row, stream.first_setting)
        visit = self._visits[at]
        self._visits[at] += 1
        name = "-".join([f"{stream.call:08d}", *map(str, at[1:]), str(visit)])
        path = self.folder / f"{name}.json"
        if not path.exists():
            self._check_position(stream.call)
            self._found = True
            return Entry(path, new_key(), identity)
        self._found = True
        content = _read(path)
        for key, words in WORDS.items():
            if content.get(key) != identity[key]:
                raise CheckpointError(
                    f"`journal` must belong to this run, but its job {path.name} has {words}. Use "
                    f"another folder than {self.folder}, or run the program that wrote it."
                )
        tag, job_id = content.get("key"), content.get("job_id")
        if not isinstance(tag, str) or not isinstance(job_id, str | None):
            raise CheckpointError(
                f"{path} is damaged (no key of a job). Use another folder as `journal`."
            )
        return Entry(path, tag, identity, job_id, is_new=False)

    def _check_owner(self) -> None:
        if os.getpid() != self._process:
            raise UnsupportedError(
                f"The journal {self.folder} must be used by the process that opened it (got a "
                "process that was forked from it). Give each process its own folder."
            )
        if _OWNERS.get(str(self.folder)) is not self:
            raise UnsupportedError(
                f"The journal {self.folder} must be used by one executor (another one of this "
                "process has opened it). Give each executor its own folder."
            )

    def _check_seed(self, entropy: int) -> None:
        if self.entropy is None:
            self.entropy = entropy
            content = {**FORMAT, "seed": hex(entropy)}
            write_text(self.folder / HEADER, json.dumps(content, indent=1))
        if self.entropy != entropy:
            raise CheckpointError(
                f"`journal` must belong to this run, but {self.folder} has another seed. Use "
                "another folder, or the seed of the run that wrote it."
            )

    def _check_position(self, call: int) -> None:
        """Refuse a first job that cannot follow those of the journal."""
        if self._found or not self._calls:
            return
        # a call may draw random numbers without a job, such as the directions of SPSA
        step = max(np.diff([-1, *self._calls]).tolist())
        if call > self._calls[-1] + step:
            raise CheckpointError(
                f"`journal` must belong to this run, but {self.folder} ends at position "
                f"{self._calls[-1]} of the random stream, and this run begins at {call}. Use "
                "another folder, or continue from the checkpoint that belongs to it."
            )


_OWNERS: WeakValueDictionary[str, Journal] = WeakValueDictionary()
_LOCKS: WeakValueDictionary[str, FolderLock] = WeakValueDictionary()


class FolderLock:
    """Lock of a folder for this process; it ends with the process, also by a kill."""

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        finalize(self, os.close, descriptor)
        try:
            _lock_file(descriptor)
        except OSError as error:
            raise UnsupportedError(
                f"The journal {folder} must be used by one process at a time (another one has it "
                "open). Wait until it ends, or use another folder."
            ) from error

    @classmethod
    def of(cls, folder: Path) -> FolderLock:
        """Return the lock that this process has, or a new one."""
        lock = _LOCKS.get(str(folder))
        if lock is None:
            lock = _LOCKS[str(folder)] = cls(folder)
        return lock


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(read_bytes(path, most=1 << 20)))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}). Use another folder as `journal`."
        ) from error


def _seed_in(header: Path, content: Mapping[str, Any]) -> int:
    try:
        return int(content["seed"], 16)
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{header} is damaged (no seed). Use another folder.") from error
