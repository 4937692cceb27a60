"""A file of results of many runs, which may be stopped, go on later, and share the file.

The file is JSON, a list of groups: runs of one model with the same settings on one data set.

    {"dataset": ..., "model": ..., "settings": {...}, "run": {...}, "results": [{"split": 0, ...}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from topodiff.training.files import locked, write_text

Group = dict[str, Any]
# kind of results -> what each must say; runs and trials do not stand in one file
KINDS: dict[str, dict[str, type]] = {
    "runs": dict.fromkeys(("split", "seed", "test", "valid", "cpu_seconds"), Real),
    "trials of --tune": {"trial": Real, "valid": Real, "options": dict},
}
RUNS, TRIALS = KINDS


class ResultsFile:
    """The groups in a file; every call reads the file anew, as other processes write, too.

    Args:
        path: of the file, which need not exist.
        kind: of the results in it, a key of :data:`KINDS`.
    """

    def __init__(self, path: str | Path, kind: str = RUNS) -> None:
        self.path, self.kind = Path(path), kind

    def groups(self) -> list[Group]:
        """All groups; none where there is no file.

        Raises:
            ValueError: the file holds something else, or results of another kind.
        """
        if not self.path.exists():
            return []
        try:
            groups: list[Group] = json.loads(self.path.read_text())
        except ValueError as error:
            raise self._foreign(str(error)) from None
        if not isinstance(groups, list) or not all(map(_is_group, groups)):
            raise self._foreign("it is not a list of groups of results")
        results = [result for group in groups for result in group["results"]]
        for kind, names in KINDS.items():
            if kind != self.kind and any(all(n in r for n in names) for r in results):
                raise ValueError(
                    f"{self.path} holds {kind}, these are {self.kind}: name another file"
                )
        wanted = KINDS[self.kind].items()
        if not all(isinstance(r.get(name), holds) for r in results for name, holds in wanted):
            raise self._foreign(f"its results lack one of {', '.join(KINDS[self.kind])}")
        return groups

    def _foreign(self, problem: str) -> ValueError:
        return ValueError(
            f"{self.path} is no file of {self.kind} ({problem}): name another file, or remove it"
        )

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
        with locked(self.path.absolute().parent, wait=True):
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


def _is_group(group: Any) -> bool:
    return (
        isinstance(group, dict)
        and {"dataset", "model", "settings", "results"} <= group.keys()
        and isinstance(group["dataset"], str)
        and isinstance(group["model"], str)
        and isinstance(group["results"], list)
        and len(group["results"]) > 0
        and all(isinstance(result, dict) for result in group["results"])
    )


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
