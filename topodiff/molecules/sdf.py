"""SDF files as records: the SMILES of each mol block, its title and its properties as columns."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from rdkit import Chem

from topodiff.molecules.files import NOT_UTF8, SHOWN, Record, Source, TableError, is_utf8, open_text
from topodiff.molecules.parse import MoleculeError, mol_from_block, silenced

TITLE, SMILES = "title", "smiles"
_SEPARATOR = re.compile(r"^\$\$\$\$.*\n?", re.MULTILINE)
_PROPERTY = re.compile(r"^>[^<\n]*<(.*)>.*\n((?:.+\n?)*)", re.MULTILINE)  # names may hold a >
_END = re.compile(r"^M  END.*\n?", re.MULTILINE)


def read_sdf(path: Path) -> Source:
    """All molecules of an SDF file; the columns are all property names in order of appearance.

    Where a mol block has a title (its first line), the first column is ``title``, and the last one
    is ``smiles``, of the molecule as RDKit writes it; unless a property has that name. Coordinates
    are not kept.
    """
    parts = _parts(path)
    properties = [_PROPERTY.findall(part) for _, part in parts]
    rows = [dict(found) for found in properties]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    titles = [part.partition("\n")[0] for _, part in parts]
    if any(map(str.strip, titles)) and TITLE not in columns:
        columns.insert(0, TITLE)
        rows = [{TITLE: title, **row} for title, row in zip(titles, rows, strict=True)]
    named = SMILES not in columns
    records, smiles = [], []
    with silenced():
        for (start, part), row, found in zip(parts, rows, properties, strict=True):
            text, problem = _to_smiles(part)
            problem = problem or _repeated([name for name, _ in found])
            smiles.append(text)
            fields = [row.get(name, "").strip() for name in columns]
            fields += [text] if named else []
            records.append(Record(start, fields, problem, ",".join(fields)[: SHOWN + 1]))
    columns += [SMILES] if named else []
    return Source(columns, records, smiles, None)


def read_properties(path: Path) -> list[str]:
    """The names of all properties, in order of appearance."""
    found = (name for _, part in _parts(path) for name, _ in _PROPERTY.findall(part))
    return list(dict.fromkeys(found))


def _parts(path: Path) -> list[tuple[int, str]]:
    """The line on which each record starts, and its text."""
    with open_text(path) as stream:
        text = stream.read().replace("\r\n", "\n").replace("\r", "\n")
    parts, line = [], 1
    for part in _SEPARATOR.split(text):
        if part.strip():
            parts.append((line, part))
        line += part.count("\n") + 1
    if not parts:
        raise TableError(f"{path}: there is no molecule in the file")
    return parts


def _to_smiles(part: str) -> tuple[str, str | None]:
    end = _END.search(part)
    if end is None:
        return "", "mol block without 'M  END'"
    block = part[: end.end()]
    if not is_utf8(block.partition("\n")[2]):  # its title is handed on as it is
        return "", NOT_UTF8
    try:
        return Chem.MolToSmiles(mol_from_block(block.encode(errors="replace").decode())), None
    except MoleculeError as error:
        return "", str(error)


def _repeated(names: list[str]) -> str | None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    return f"the property {twice[0]!r} is given twice" if twice else None
