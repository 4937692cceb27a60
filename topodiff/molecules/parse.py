"""Text to RDKit molecules, with the reason where there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rdkit import Chem, rdBase
from rdkit.Chem.rdCIPLabeler import AssignCIPLabels
from rdkit.Chem.rdqueries import HasChiralTagQueryAtom, HasPropQueryAtom

MAX_CHARACTERS = 50_000  # about 15,000 atoms; RDKit's time grows with the square of the length
MAX_COMPARISONS = 100_000  # of branches around stereocentres; a few drugs need over 30,000


class MoleculeError(ValueError):
    """A text or molecule that cannot be used; the message is the reason."""


def _unlabelled_centre() -> Chem.Mol:
    """Query of one atom; searched for as a molecule in a third of the time it takes as an atom."""
    atom = HasChiralTagQueryAtom()
    atom.ExpandQuery(HasPropQueryAtom("_CIPCode", negate=True))
    query = Chem.RWMol()
    query.AddAtom(atom)
    return query.GetMol()


_UNLABELLED = _unlabelled_centre()


def mol_from_smiles(smiles: str) -> Chem.Mol:
    """Sanitised molecule of at least one atom. Call it within :func:`silenced`.

    Raises:
        MoleculeError: with RDKit's reason (syntax, valence, kekulisation), or ours: empty, too
            long, characters that no SMILES has, text after the SMILES.
    """
    text = smiles.strip()
    if not text:
        raise MoleculeError("empty SMILES")
    if len(text) > MAX_CHARACTERS:
        raise MoleculeError(f"SMILES of {len(text)} characters (at most {MAX_CHARACTERS})")
    if not (text.isascii() and text.isprintable()):
        raise MoleculeError("SMILES with characters other than printable ASCII")
    if " " in text and not text.split(" ", 1)[1].startswith("|"):  # "|...|" is CXSMILES
        raise MoleculeError("text after the SMILES, separated by a space")
    mol = _checked(Chem.MolFromSmiles, text)
    if "@" in text or "|" in text:
        label_centres(mol)
    return mol


def mol_from_block(block: str) -> Chem.Mol:
    """Sanitised molecule of an MDL mol block; errors as for :func:`mol_from_smiles`."""
    return _checked(Chem.MolFromMolBlock, block)


def sanitised_copy(mol: Chem.Mol) -> Chem.Mol:
    """Copy of a molecule with aromaticity, rings and stereo perceived as for a SMILES.

    Raises:
        TypeError: if it is not an RDKit molecule.
        MoleculeError: if it has no atoms, or RDKit cannot sanitise it.
    """
    if not isinstance(mol, Chem.Mol):
        raise TypeError(f"expected an RDKit molecule (rdkit.Chem.Mol), got {type(mol).__name__}")
    if mol.GetNumAtoms() == 0:
        raise MoleculeError("a molecule without atoms")
    mol = Chem.Mol(mol)
    try:
        Chem.SanitizeMol(mol)
    except (ValueError, RuntimeError) as error:
        raise MoleculeError(_first_reason([str(error)])) from None
    Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    label_centres(mol)
    return mol


def label_centres(mol: Chem.Mol) -> None:
    """Give stereocentres that RDKit's perception left without a CIP code the one of the full rules.

    These are above all the pseudo-asymmetric ones (r, s), of which cis- and trans-1,4-dimethyl-
    cyclohexane have two each. The full rules take milliseconds a molecule, so nothing else is
    labelled by them. A centre that even they cannot label is left without a code, and so are all of
    these where there are too many comparisons: which ones come first depends on the order of atoms.
    """
    found = mol.GetSubstructMatches(_UNLABELLED, maxMatches=mol.GetNumAtoms())
    centres = [atom for (atom,) in found]
    if centres:
        try:
            AssignCIPLabels(mol, centres, [], MAX_COMPARISONS)
        except RuntimeError:  # too many
            for i in centres:
                mol.GetAtomWithIdx(i).ClearProp("_CIPCode")


@contextmanager
def silenced() -> Iterator[None]:
    """Keep RDKit from writing to stderr; what it has to say becomes the reason of an error."""
    block = rdBase.BlockLogs()
    try:
        yield
    finally:
        del block


def _checked(parser: Callable[[str], Chem.Mol | None], text: str) -> Chem.Mol:
    try:
        mol = parser(text)
    except RuntimeError as error:  # a violated invariant inside RDKit
        raise MoleculeError(_first_reason([str(error)])) from None
    if mol is None:
        with _captured_log() as lines:
            parser(text)
        raise MoleculeError(_first_reason(lines))
    if mol.GetNumAtoms() == 0:
        raise MoleculeError("a molecule without atoms")
    return mol


def _first_reason(lines: list[str]) -> str:
    """What RDKit says first, without time stamp and without repeating the input."""
    for line in lines:
        reason = line.split("] ", 1)[-1] if line.startswith("[") else line
        reason = reason.split(" while parsing:")[0].split(" for input:")[0]
        reason = reason.strip().split("\n")[0].strip("*! ")
        if reason:
            return reason[:300]
    return "RDKit cannot read it"


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("rdkit")
    before = log.handlers, log.propagate
    log.handlers, log.propagate = [handler], False
    status = rdBase.LogStatus()  # switching streams forgets which logs were off
    rdBase.LogToPythonLogger()
    rdBase.EnableLog("rdApp.error")
    try:
        yield lines
    finally:
        rdBase.LogToCppStreams()
        for name, state in (line.split(":") for line in status.split()):
            (rdBase.EnableLog if state == "enabled" else rdBase.DisableLog)(name)
        log.handlers, log.propagate = before
