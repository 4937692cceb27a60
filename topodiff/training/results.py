"""A file of results of many runs, which may be stopped, go on later, and share the file.

The file is JSON, a list of groups: runs of one model with the same settings on one data set.

    {"dataset": ..., "model": ..., "settings": {...}, "run": {...}, "results": [{"split": 0, ...}]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topodiff.training.files import write_text

Group = dict[str, Any]


class ResultsFile:
    """The groups in a file; every call reads the file anew, as other processes write, too."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def groups(self) -> list[Group]:
        """All groups; none where there is no file."""
        if not self.path.exists():
            return []
        groups: list[Group] = json.loads(self.path.read_text())
        return groups

    def has(self, group: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
        """Whether there is a result with the values of ``key`` in this group, settings included."""
        return any(
            _agrees(found, group) and any(_agrees(result, key) for result in found["results"])
            for found in self.groups()
        )

    def add(self, group: Mapping[str, Any], run: Mapping[str, Any], result: dict[str, Any]) -> None:
        """Add one result. Earlier ones of this model and data set with other settings go away.

        Args:
            group: dataset, model and settings.
            run: on what it ran.
            result: split, seed, metrics, ...
        """
        with self._lock():
            groups = self.groups()
            same = next((g for g in groups if _agrees(g, group)), None)
            results = [*(same["results"] if same else []), _plain(result)]
            fresh = {**_plain(group), "run": _plain(run), "results": results}
            place = {"dataset": group["dataset"], "model": group["model"]}
            others = [g for g in groups if not _agrees(g, place)]
            self._write(sorted([*others, fresh], key=lambda g: (g["dataset"], g["model"])))

    def _write(self, groups: list[Group]) -> None:
        text = ",\n".join(map(_one_line_per_result, groups))
        write_text(self.path, f"[\n{text}\n]\n")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Only one process at a time reads, adds and writes. The lock is on the folder, as the
        file is replaced."""
        import fcntl

        folder = os.open(self.path.absolute().parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _agrees(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(found.get(name) == value for name, value in _plain(wanted).items())


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(content), allow_nan=False))
    return plain


def _one_line_per_result(group: Group) -> str:
    head = json.dumps({k: v for k, v in group.items() if k != "results"})
    results = ",\n  ".join(json.dumps(result) for result in group["results"])
    return f'{head[:-1]}, "results": [\n  {results}\n]}}'
