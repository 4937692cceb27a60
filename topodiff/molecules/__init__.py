"""Molecules as featurised ring complexes: SMILES, RDKit molecules, tables of them, splits."""

from topodiff.molecules.features import FEATURES, Column, FeatureSet, feature_set
from topodiff.molecules.files import TableError
from topodiff.molecules.lift import from_mol, from_smiles, lift_all
from topodiff.molecules.lifting_many import LiftedMany, lift_many
from topodiff.molecules.parse import MoleculeError
from topodiff.molecules.settings import LiftSettings
from topodiff.molecules.splits import Split, column_split, random_split, scaffold_split
from topodiff.molecules.table import Failure, MoleculeTable, read_table, table_from_smiles

__all__ = [
    "FEATURES",
    "Column",
    "Failure",
    "FeatureSet",
    "LiftSettings",
    "LiftedMany",
    "MoleculeError",
    "MoleculeTable",
    "Split",
    "TableError",
    "column_split",
    "feature_set",
    "from_mol",
    "from_smiles",
    "lift_all",
    "lift_many",
    "random_split",
    "read_table",
    "scaffold_split",
    "table_from_smiles",
]
