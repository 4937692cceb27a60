"""Imports point down only, and heavy packages are imported when they are first needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "topodiff"

# From the ground up; parts on one floor do not know each other.
FLOORS = [
    ["kernels"],
    ["complexes"],
    ["liftings", "molecules"],
    ["sheaves"],
    ["operators"],
    ["geometry", "encodings"],
    ["solvers"],
    ["dynamics"],
    ["nn"],
    ["training"],
    ["cli"],
]
HEIGHT = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
# Parts that stand beside, and what they may know besides the ground floors.
BESIDE = {
    "datasets": {"molecules", "liftings", "complexes", "kernels"},
    "testing": set(HEIGHT) - {"cli"},
    "plotting": set(HEIGHT) - {"cli"},
    "diagnostics": set(HEIGHT) - {"cli"},
    "distributed": set(HEIGHT) - {"cli"},
}
# Who may know those beside: whoever reads data, draws or measures, which is the top.
USERS = {
    "datasets": {"training", "cli"},
    "plotting": {"training", "cli"},
    "diagnostics": {"training", "cli"},
    "distributed": {"nn", "training", "cli"},
}
# The whole package as one name: only its own front may do so.
FRONT = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}


def imported(path):
    """(line, module) of every import in a file, wherever it stands in it."""
    package = ("topodiff", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*start, *([node.module] if node.module else [])])
            if module == "topodiff":
                yield from ((node.lineno, f"topodiff.{name.name}") for name in node.names)
            else:
                yield node.lineno, module


def allowed(importer, target):
    if importer == target:
        return True
    if importer in BESIDE:
        return target in BESIDE[importer]
    if target in BESIDE:
        return importer in USERS.get(target, ())
    return HEIGHT[target] < HEIGHT[importer]


def part_of(path):
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path not in FRONT)


def test_every_part_has_its_place():
    parts = {part_of(path) for path in FILES}
    assert parts <= {*HEIGHT, *BESIDE}, "give new parts a floor in this file and in the design"


def test_imports_point_down():
    wrong = []
    for path in FILES:
        for line, module in imported(path):
            name, _, rest = module.partition(".")
            if name != "topodiff" or rest == "__version__":
                continue
            target = rest.partition(".")[0]
            known = target in HEIGHT or target in BESIDE
            # names of the front (`from topodiff import CellComplex`) are for users and the top
            if not allowed(part_of(path), target) if known else part_of(path) != "cli":
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_rule_itself():
    assert allowed("complexes", "kernels")
    assert not allowed("kernels", "complexes")
    assert not allowed("liftings", "molecules")
    assert allowed("datasets", "molecules")
    assert not allowed("datasets", "nn")
    assert not allowed("nn", "datasets")
    assert not allowed("nn", "testing")
    assert allowed("testing", "nn")


HEAVY = [
    "gudhi", "networkx", "rdkit", "toponetx", "torch_geometric", "torch_scatter", "torchmetrics",
    "hypothesis", "matplotlib", "pandas", "typer", "datamol", "triton",
]  # fmt: skip


def newly_loaded(statement):
    """Which heavy packages a statement loads that torch alone does not."""
    code = (
        "import sys, torch; before = set(sys.modules)\n"
        f"{statement}\n"
        f"print(*[m for m in {HEAVY!r} if m in sys.modules and m not in before])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import topodiff",
        "from topodiff import CellComplex, batch, kernels, complexes",
        "from topodiff import from_networkx, from_toponetx, from_pyg, from_gudhi, from_scipy",
        "import topodiff.testing",
        "import topodiff; K = topodiff.CellComplex.from_simplices([(0, 1, 2)]); K.validate()",
    ],
)
def test_heavy_packages_wait_until_they_are_needed(statement):
    assert newly_loaded(statement) == []


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("topodiff.from_toponetx(None)", "toponetx"),
        ("topodiff.from_pyg(None)", "pyg"),
        ("topodiff.to_pyg(topodiff.CellComplex.from_simplices([(0,)]))", "pyg"),
        ("import topodiff.testing.strategies", "test"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(statement, extra):
    block = "toponetx", "torch_geometric", "torch_geometric.data", "hypothesis"
    code = (
        f"import sys, topodiff; sys.modules.update(dict.fromkeys({block!r}))\n"
        f"try:\n    {statement}\nexcept ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"pip install 'topodiff[{extra}]'" in run.stdout, run.stderr
