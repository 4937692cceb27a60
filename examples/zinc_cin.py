"""CIN on ZINC-12k by the protocol of Bodnar et al., Go Cellular (2021), appendix.

    python examples/zinc_cin.py --hidden 48 --layers 2             CIN-small
    python examples/zinc_cin.py --hidden 128 --layers 4            CIN
    python examples/zinc_cin.py --epochs 60 --schedule cosine      a shorter run

Atoms, bonds and induced rings of up to 18 atoms are cells; L1 loss, batches of 128, learning rate
1e-3, halved after 20 epochs without improvement on the validation set, until it falls below 1e-5.
The test error is that of the epoch with the best validation error. A run that was stopped goes on
when the same command is given again; with --evaluate added it is tested as it stands. Runs of
different settings have different folders, by default zinc/LAYERSxWIDTH-EPOCHS-SCHEDULE-SEED.

The data come from the mirror folder (TOPODIFF_MIRROR). Validation and test sets are the published
ones; the training set is a surrogate of the same size from the same pool, see datasets/README.md.
"""

import argparse
from pathlib import Path

import torch
from rich.console import Console

import topodiff as td
from topodiff.datasets.molecules import load_zinc
from topodiff.training import FitConfig, Samples, Targets, evaluate, fit, predict
from topodiff.training.checkpoint import load_newest
from topodiff.training.files import write_json
from topodiff.training.run import Record


def samples(split: str) -> Samples:
    """A part of ZINC-12k: complexes and penalised logP."""
    complexes = load_zinc(split, max_ring_size=18)
    return Samples(complexes, complexes.y)


def main() -> None:
    """Train, select on validation data, test, write ``result.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--schedule", choices=("plateau", "cosine"), default="plateau")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="folder of this run")
    parser.add_argument("--evaluate", action="store_true", help="test a stopped run as it stands")
    options = parser.parse_args()
    name = f"{options.layers}x{options.hidden}-{options.epochs}-{options.schedule}-{options.seed}"
    out = options.out or Path("zinc") / name
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    console = Console()
    train, valid, test = (samples(s) for s in ("train_surrogate", "val", "test"))
    model = td.nn.CIN({0: (28,), 1: (4,)}, options.hidden, 1, options.layers)
    size = sum(p.numel() for p in model.parameters())
    console.print(f"{train.complexes}\nCIN with {size:,} parameters")
    config = FitConfig(
        epochs=options.epochs,
        batch_size=128,
        weight_decay=0.0,
        loss="l1",
        schedule=options.schedule,
        plateau_patience=20,
        metric="mae",
        clip=0.0,
        seed=options.seed,
    )
    targets = Targets(("penalised logP",), ("regression",), (0.0,), (1.0,))

    def show(record: Record) -> None:
        number, error = record["epoch"], record["valid"]["mae"]
        console.print(f"epoch {number}: training {record['train_loss']:.4f} validation {error:.4f}")

    if not options.evaluate:
        fit(model, train, valid, targets, config, folder=out, resume=True, on_epoch=show)
    state = load_newest(out)
    if state is None:
        parser.error(f"there is no checkpoint in {out}")
    if state["signature"]["model"] != str(model):
        parser.error(f"the model in {out} has another --hidden or --layers")
    best, history = state["best"], state["history"]
    model.load_state_dict(best["model"])
    prediction = targets.unscale(predict(model, test))
    error = evaluate(targets, prediction, test.y)["mean"]["mae"]
    console.print(f"best epoch {best['epoch']}: validation {best['score']:.4f} test {error:.4f}")
    result = {
        "model": {"hidden": options.hidden, "layers": options.layers, "parameters": size},
        "config": state["signature"]["config"],
        "best_epoch": best["epoch"],
        "status": state["status"] or f"stopped after {len(history)} epochs",
        "val": best["score"],
        "test": error,
        "history": [[r["epoch"], r["learning_rate"], r["valid"]["mae"]] for r in history],
    }
    write_json(out / "result.json", result)
    console.print(f"result.json is in {out}")


if __name__ == "__main__":
    main()
