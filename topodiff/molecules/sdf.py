"""SDF files as records: the SMILES of each mol block, its title and its properties as columns."""

from __future__ import annotations

import re
from pathlib import Path

from rdkit import Chem

from topodiff.molecules.files import SHOWN, Record, Source, TableError, is_utf8, open_text
from topodiff.molecules.parse import MoleculeError, mol_from_block, silenced

TITLE, SMILES = "title", "smiles"
_SEPARATOR = re.compile(r"^\$\$\$\$.*\n?", re.MULTILINE)
_PROPERTY = re.compile(r"^>.*?<([^>]*)>.*\n((?:.+\n?)*)", re.MULTILINE)
_END = re.compile(r"^M  END.*\n?", re.MULTILINE)


def read_sdf(path: Path) -> Source:
    """All molecules of an SDF file; the columns are all property names in order of appearance.

    Where a mol block has a title (its first line), the first column is ``title``, and the last one
    is ``smiles``, of the molecule as RDKit writes it; unless a property has that name. Coordinates
    are not kept.
    """
    with open_text(path) as stream:
        text = stream.read().replace("\r\n", "\n").replace("\r", "\n")
    parts, line = [], 1
    for part in _SEPARATOR.split(text):
        if part.strip():
            parts.append((line, part))
        line += part.count("\n") + 1
    if not parts:
        raise TableError(f"{path}: there is no molecule in the file")
    rows = [dict(_PROPERTY.findall(part)) for _, part in parts]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    titles = [part.partition("\n")[0] for _, part in parts]
    if any(map(str.strip, titles)) and TITLE not in columns:
        columns.insert(0, TITLE)
        rows = [{TITLE: title, **row} for title, row in zip(titles, rows, strict=True)]
    named = SMILES not in columns
    records, smiles = [], []
    with silenced():
        for (start, part), row in zip(parts, rows, strict=True):
            text, problem = _to_smiles(part)
            smiles.append(text)
            fields = [row.get(name, "").strip() for name in columns]
            fields += [text] if named else []
            records.append(Record(start, fields, problem, ",".join(fields)[: SHOWN + 1]))
    columns += [SMILES] if named else []
    return Source(columns, records, smiles, None)


def _to_smiles(part: str) -> tuple[str, str | None]:
    if not is_utf8(part):
        return "", "bytes that are not UTF-8"
    end = _END.search(part)
    if end is None:
        return "", "mol block without 'M  END'"
    try:
        return Chem.MolToSmiles(mol_from_block(part[: end.end()])), None
    except MoleculeError as error:
        return "", str(error)
