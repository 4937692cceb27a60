"""Files that are whole or absent: write beside, flush to disk, rename."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replace ``path``, or what it links to, by ``content``; whoever reads meanwhile sees the old
    file or the new one."""
    path = Path(path).resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """:func:`write_bytes` of ``text`` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: Any) -> None:
    """:func:`write_bytes` of indented JSON; NaN and infinity are not JSON and become null."""
    text = json.dumps(_json_numbers(content), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def _json_numbers(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _json_numbers(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_json_numbers(v) for v in content]
    if isinstance(content, float) and content - content != 0:
        return None
    return content
