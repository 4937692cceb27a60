"""Cells of target columns as numbers: measured values, and the usual words for two classes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))
CLASSES = {
    "inactive": 0.0, "active": 1.0, "negative": 0.0, "positive": 1.0,
    "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0,
}  # fmt: skip
FLOAT32_LIMIT = (2 - 2**-24) * 2.0**127  # from here on float32 rounds to infinity
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def holds_classes(cells: Iterable[str]) -> bool:
    """Whether a column holds a word of :data:`CLASSES`, and no number but 0 and 1 beside it."""
    words = False
    for cell in cells:
        text = cell.strip()
        if text.lower() in CLASSES:
            words = True
        elif _NUMBER.fullmatch(text) and float(text) not in (0, 1):
            return False
    return words


def target_number(cell: str, column: str, classes: bool) -> float:
    """A finite number that float32 can hold, NaN for a missing one; ValueError otherwise.

    Args:
        cell: what the table says.
        column: its name, for messages.
        classes: whether the column :func:`holds_classes`.
    """
    text = cell.strip()
    word = text.lower()
    if word in MISSING:
        return math.nan
    if classes and word in CLASSES:
        return CLASSES[word]
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    if not _NUMBER.fullmatch(text):
        kind = "class" if classes else "finite number"
        raise ValueError(f"target {column!r} is not a {kind}: {shown!r}{_hint(text)}")
    if abs(value := float(text)) >= FLOAT32_LIMIT:
        raise ValueError(f"target {column!r} is too large for float32: {shown!r}")
    return value


def _hint(text: str) -> str:
    if _NUMBER.fullmatch(text.replace(",", ".", 1)):
        return " (decimals are written with a point, thousands without a comma)"
    if text.lower() in CLASSES:
        return " (the column holds other numbers than 0 and 1, so it is not one of classes)"
    return ""
