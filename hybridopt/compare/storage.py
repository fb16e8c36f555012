"""Runs on disk: one file each, written whole, named by what its numbers follow from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybridopt._files import output_folder, write_text
from hybridopt.compare.fingerprints import key_of
from hybridopt.compare.records import Run
from hybridopt.compare.run_store import read_json, run_of
from hybridopt.errors import CheckpointError

_NO_NAME = re.compile(r"[^A-Za-z0-9]+")
KIND = "hybridopt run"


class RunFiles:
    """The runs in a folder. A changed setting changes the name, so runs never mix.

    Args:
        folder: Is made if it is missing.

    Raises:
        OutputError: If it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = output_folder(folder / "runs")

    def path(self, method: str, seed: int, settings: Mapping[str, Any]) -> Path:
        """Of one run; a method that was only renamed keeps its file."""
        ending = f"-seed{seed}-{key_of(settings)}.json"
        there = sorted(self.folder.glob(f"[!.]*{ending}"))
        words = _NO_NAME.sub("-", method).strip("-")[:60]
        return there[0] if there else self.folder / f"{words}{ending}"

    def load(self, method: str, seed: int, settings: Mapping[str, Any]) -> Run | None:
        """A finished run with these settings; None if there is none, or it failed.

        Raises:
            CheckpointError: If the file is damaged.
        """
        path = self.path(method, seed, settings)
        if not path.exists():
            return None
        try:
            content = read_json(path)
            if not isinstance(content, dict) or "run" not in content:
                raise ValueError("it holds no run")  # noqa: TRY301  # told like all else below
            run = run_of(content["run"])
            if run.seed != seed:
                raise ValueError(f"its seed is {run.seed}")  # noqa: TRY301
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{path} is damaged ({type(error).__name__}: {error}). Delete it, and the run is "
                "made again."
            ) from error
        return replace(run, method=method) if run.done else None

    def save(self, run: Run, settings: Mapping[str, Any]) -> Path:
        """Write a run whole or not at all."""
        content = {"kind": KIND, "settings": dict(settings), "run": run.to_dict()}
        text = json.dumps(content, indent=1, default=repr)
        return write_text(self.path(run.method, run.seed, settings), text + "\n")
