"""Figures carry the data that they were given."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest
import torch

import topodiff as td
from topodiff import plotting
from topodiff.dynamics import DirichletEnergy, Heat
from topodiff.operators import GraphLaplacian, HodgeLaplacian
from topodiff.plotting.layout import layout
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal
from topodiff.training.files import write_picture

pytest.importorskip("matplotlib")
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.quiver import Quiver

F64 = torch.float64
# two squares side by side and a triangle: 2-cells of different size
SQUARES = td.liftings.RingLifting(max_ring_size=4)(
    nx.Graph([(0, 1), (1, 2), (2, 3), (0, 3), (2, 4), (4, 5), (3, 5), (4, 6), (5, 6)])
)
PLACES = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1], [1, 2], [0, 2], [0.5, 3]], dtype=F64)


@pytest.fixture(autouse=True)
def _no_global_state():
    """Whatever is drawn, pyplot knows of no figure and its settings stay."""
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    yield
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def artists(figure, kind, panel=0):
    return [c for c in figure.axes[panel].collections if type(c) is kind]


def test_cells_of_all_ranks_at_their_places():
    figure = plotting.draw_complex(SQUARES, positions=PLACES, title="two squares")
    (cells,) = artists(figure, PolyCollection)
    (edges,) = artists(figure, LineCollection)
    (dots,) = artists(figure, PathCollection)
    assert SQUARES.shape == (7, 9, 3)
    for path, cycle in zip(cells.get_paths(), SQUARES.cells(2), strict=True):
        np.testing.assert_array_equal(path.vertices[: len(cycle)], PLACES[list(cycle)])
    expected = PLACES[SQUARES.edge_index].transpose(0, 1)
    np.testing.assert_array_equal(np.stack(edges.get_segments()), expected)
    np.testing.assert_array_equal(dots.get_offsets(), PLACES)
    assert figure.axes[0].get_title() == "two squares"
    assert len(figure.axes) == 1  # nothing to give a bar for


@pytest.mark.parametrize(("rank", "kind"), [(0, PathCollection), (2, PolyCollection)])
def test_colours_of_vertices_and_cells(rank, kind):
    values = torch.linspace(-1, 3, SQUARES.num_cells(rank), requires_grad=True)
    figure = plotting.draw_complex(SQUARES, values[:, None], rank, positions=PLACES)
    (artist,) = artists(figure, kind)
    np.testing.assert_allclose(artist.get_array(), values.detach())
    assert artist.get_clim() == (-3, 3)
    assert artist.get_cmap().name == "coolwarm"
    assert len(figure.axes) == 2
    figure = plotting.draw_complex(SQUARES, values.abs(), rank, positions=PLACES, limits=(0, 9))
    assert artists(figure, kind)[0].get_clim() == (0, 9)
    assert artists(figure, kind)[0].get_cmap().name == "viridis"
    figure.canvas.draw()


def test_arrows_go_with_the_sign_of_a_flow():
    flow = torch.tensor([1.0, -2.0, 0.0, 3.0, 1.0, 1.0, 1.0, 1.0, -1.0])
    figure = plotting.draw_complex(SQUARES, flow, 1, positions=PLACES)
    (arrows,) = artists(figure, Quiver)
    tail, head = SQUARES.edge_index
    along = PLACES[head] - PLACES[tail]
    found = torch.tensor(np.column_stack([arrows.U, arrows.V]))
    torch.testing.assert_close(found, 0.6 * flow.sign()[:, None] * along)
    np.testing.assert_allclose(arrows.get_array(), flow.abs())
    assert arrows.get_clim() == (0, 3)
    np.testing.assert_allclose(arrows.XY, (PLACES[head] + PLACES[tail]) / 2)
    figure.canvas.draw()


def test_layouts():
    graph = td.from_networkx(nx.karate_club_graph())
    first, again = plotting.layout(graph, seed=3), plotting.layout(graph, seed=3)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (34, 2)
    assert not np.array_equal(first, plotting.layout(graph, seed=4))
    own = graph.replace(positions=torch.rand(34, 2))
    np.testing.assert_allclose(plotting.layout(own), own.positions)
    line = plotting.layout(graph, torch.arange(34.0)[:, None])
    np.testing.assert_array_equal(line[:, 1], 0)
    # a plane in space keeps its distances
    plane = torch.randn(34, 2, dtype=F64) @ torch.linalg.qr(torch.randn(3, 2, dtype=F64))[0].T
    torch.testing.assert_close(
        torch.cdist(*[torch.tensor(plotting.layout(graph, plane))] * 2), torch.cdist(plane, plane)
    )


def heat(rank: int, times: torch.Tensor) -> td.Solution:
    operator = HodgeLaplacian(SQUARES, rank) if rank else GraphLaplacian(SQUARES)
    x = torch.randn(SQUARES.num_cells(rank), 2, generator=torch.Generator().manual_seed(0))
    return td.diffuse(Heat(operator), x, float(times[-1]), "chebyshev", save_at=times)


@pytest.mark.parametrize(("rank", "kind"), [(0, PathCollection), (1, Quiver)])
def test_frames_share_their_colours(rank, kind):
    times = torch.linspace(0, 2, 11)
    solution = heat(rank, times)
    figure = plotting.draw_flow(
        SQUARES, solution, rank, channel=1, num_frames=4, columns=3, positions=PLACES
    )
    assert len(figure.axes) == 5  # four frames and a bar
    shown = [0, 3, 7, 10]
    assert [a.get_title() for a in figure.axes[:4]] == [f"t = {times[k]:.3g}" for k in shown]
    limits = set()
    for panel, k in enumerate(shown):
        (artist,) = artists(figure, kind, panel)
        state = solution.x[k, :, 1]
        np.testing.assert_allclose(artist.get_array(), state.abs() if rank else state)
        limits.add(artist.get_clim())
    largest = float(solution.x[:, :, 1].abs().max())
    assert limits == {(0.0 if rank else -largest, largest)}


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_animations_are_saved_as_gif(rank, tmp_path):
    from PIL import Image

    solution = heat(rank, torch.linspace(0, 1, 4))
    animation = plotting.animate_flow(SQUARES, solution, rank, positions=PLACES, interval=50)
    animation.save(tmp_path / "flow.gif", writer="pillow", dpi=30)
    with Image.open(tmp_path / "flow.gif") as picture:
        assert picture.n_frames == 4
    kind = (PathCollection, Quiver, PolyCollection)[rank]
    figure = animation._fig
    (artist,) = artists(figure, kind)
    last = solution.x[-1, :, 0]
    np.testing.assert_allclose(artist.get_array(), last.abs() if rank == 1 else last)
    assert figure.axes[0].get_title() == "t = 1"


def test_energies_are_lines():
    times = torch.linspace(0, 3, 7)
    states = heat(0, times).x
    energy = torch.stack([DirichletEnergy(SQUARES).value(x) for x in states])
    figure = plotting.draw_energies({"dirichlet": energy, "none": [1, 0, 1, 0, 1, 0, 1]}, times)
    first, second = figure.axes[0].lines
    np.testing.assert_allclose(first.get_xydata(), torch.stack([times, energy], 1))
    assert len(second.get_xdata()) == 4
    assert figure.axes[0].get_yscale() == "log"
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["dirichlet", "none"]
    figure = plotting.draw_energies({"e": energy}, times, logarithmic=False, xlabel="layer")
    assert (figure.axes[0].get_yscale(), figure.axes[0].get_xlabel()) == ("linear", "layer")
    with pytest.raises(ValueError, match="as many as the 7 times"):
        plotting.draw_energies({"e": [1.0, 2.0]}, times)


def test_angles_of_rotations_in_the_plane():
    angle = torch.linspace(-3, 3, 9, dtype=F64)
    c, s = angle.cos(), angle.sin()
    turn = torch.stack([c, -s, s, c], 1).reshape(-1, 2, 2)
    frames = SpecialOrthogonal(2)(torch.randn(9, 1, dtype=F64))
    maps = torch.stack([frames @ turn, 3 * frames], 1).flatten(0, 1)  # scaled: the polar factor
    found, proper = plotting.rotation_angles(CellularSheaf(SQUARES, 2, maps))
    torch.testing.assert_close(found, angle)
    assert bool(proper.all())


def test_angles_of_rotations_in_space():
    angle = torch.tensor([0.0, 1e-9, 0.3, 1, 2, 3, math.pi - 1e-9, math.pi, 0.5], dtype=F64)
    axis = torch.nn.functional.normalize(torch.randn(9, 3, dtype=F64), dim=1)
    x, y, z = axis.T
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    turn = torch.linalg.matrix_exp(angle[:, None, None] * skew)
    turn[-1] *= -1
    maps = torch.stack([turn, torch.eye(3, dtype=F64).expand(9, 3, 3)], 1).flatten(0, 1)
    found, proper = plotting.rotation_angles(CellularSheaf(SQUARES, 3, maps, orthogonal=True))
    torch.testing.assert_close(found, angle, rtol=1e-7, atol=1e-7)
    assert proper.tolist() == [True] * 8 + [False]


@pytest.mark.parametrize("dim", [2, 3])
def test_maps_that_turn_nothing_have_no_angle(dim):
    maps = 1e-9 * torch.eye(dim, dtype=F64).repeat(18, 1, 1)  # small is no reason
    maps[0] = 0
    maps[2, -1] = 0
    sheaf = CellularSheaf(SQUARES, dim, maps)
    angles = plotting.rotation_angles(sheaf)[0]
    assert angles.isnan().tolist() == [True, True] + [False] * 7
    figure = plotting.draw_rotations(sheaf, positions=PLACES)
    lines = artists(figure, LineCollection)[0]
    lines.update_scalarmappable()
    assert np.allclose(lines.get_colors()[0], [0.7, 0.7, 0.7, 1])


def test_rotations_on_edges():
    maps = torch.eye(2, dtype=F64).repeat(18, 1, 1)
    maps[0] = torch.tensor([[0.0, -1], [1, 0]])  # a quarter turn on the first edge
    maps[2] = torch.diag(torch.tensor([1.0, -1]))  # a reflection on the second
    figure = plotting.draw_rotations(CellularSheaf(SQUARES, 2, maps), positions=PLACES)
    rotations, reflections = artists(figure, LineCollection)
    np.testing.assert_allclose(rotations.get_array(), [math.pi / 2] + 7 * [0], atol=1e-15)
    assert len(reflections.get_segments()) == 1
    np.testing.assert_array_equal(reflections.get_segments()[0], PLACES[SQUARES.edge_index[:, 1]])
    assert rotations.get_clim() == (-math.pi, math.pi)
    (needles,) = artists(figure, Quiver)
    np.testing.assert_allclose([needles.U[0], needles.V[0]], [0, 1], atol=1e-15)
    figure.canvas.draw()
    space = SpecialOrthogonal(3)(torch.randn(18, 3))
    figure = plotting.draw_rotations(CellularSheaf(SQUARES, 3, space, orthogonal=True))
    assert artists(figure, LineCollection)[0].get_clim() == (0, math.pi)
    assert artists(figure, Quiver) == []
    with pytest.raises(ValueError, match="dimension 2 and 3, got 4"):
        plotting.draw_rotations(CellularSheaf(SQUARES, 4))


def test_spectra_over_each_other():
    before, after = torch.tensor([2.0, 0, 1]), torch.linspace(0, 4, 9)
    figure = plotting.draw_spectrum({"before": before, "after": after}, bins=8)
    sorted_, density = figure.axes
    np.testing.assert_allclose(sorted_.lines[0].get_ydata(), [0, 1, 2])
    np.testing.assert_allclose(sorted_.lines[1].get_ydata(), after)
    assert len(density.patches) == 16
    for bars in (density.patches[:8], density.patches[8:]):
        assert sum(b.get_height() * b.get_width() for b in bars) == pytest.approx(1)
    assert density.patches[0].get_height() == pytest.approx(1 / 3 / 0.5)
    plotting.draw_spectrum({"all the same": torch.zeros(3)})
    figure = plotting.draw_spectrum({"before": before, "after": torch.tensor([1 + 2j, 1 - 2j])})
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), [1, 1])
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), [-2, 2])
    assert figure.axes[1].get_xlabel() == "real part"
    for wrong in ({}, {"x": torch.zeros(0)}, {"x": torch.eye(2)}, {"x": torch.tensor([torch.nan])}):
        with pytest.raises(ValueError, match="spectrum"):
            plotting.draw_spectrum(wrong)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cochain": torch.zeros(6)}, r"shape \(7,\), got \(6,\)"),
        ({"cochain": torch.zeros(7, 2)}, "choose a channel"),
        ({"cochain": torch.zeros(9), "rank": 3}, "rank 0 to 2 of this complex, got rank 3"),
        ({"cochain": torch.full((7,), torch.nan)}, "must be finite"),
        ({"positions": torch.zeros(3, 2)}, r"shape \(7, dim\)"),
        ({"positions": torch.full((7, 2), torch.inf)}, "positions must be finite"),
    ],
)
def test_bad_input(options, says):
    with pytest.raises(ValueError, match=says):
        plotting.draw_complex(SQUARES, **options)


def test_solutions_without_a_course():
    once = td.diffuse(GraphLaplacian(SQUARES), torch.ones(7, 1), 1.0)
    with pytest.raises(ValueError, match="save_at=times"):
        plotting.draw_flow(SQUARES, once)
    many = heat(0, torch.linspace(0, 1, 3))
    with pytest.raises(ValueError, match="channel must be one of 0 to 1, got 5"):
        plotting.animate_flow(SQUARES, many, channel=5)
    with pytest.raises(ValueError, match=r"shape \(9,\)"):
        plotting.draw_flow(SQUARES, many, 1)
    with pytest.raises(ValueError, match="at least 1"):
        plotting.draw_flow(SQUARES, many, num_frames=0)


def test_parity_plot_is_a_figure_that_can_be_written(tmp_path):
    values = torch.tensor([[0.0], [1.0], [torch.nan]])
    figure = plotting.parity_plot(["y"], values, values, torch.zeros(3, 1))
    assert figure.axes[0].get_xlabel() == "y, measured"
    write_picture(tmp_path / "p.png", figure)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_parity_plot_of_learnt_values_and_of_columns_that_nobody_measured():
    predicted = torch.rand(3, 2, requires_grad=True)
    measured = torch.tensor([[0.0, torch.nan], [1.0, torch.nan], [torch.nan, torch.nan]])
    figure = plotting.parity_plot(["y", "z"], predicted, measured, torch.zeros(3, 2))
    assert [len(axes.containers) for axes in figure.axes] == [1, 0]
    with pytest.raises(ValueError, match=r"must be \(n, 1\), one column for each name"):
        plotting.parity_plot(["y"], predicted, measured, torch.zeros(3, 2))


@pytest.mark.parametrize("given", [lambda t: t.tolist(), lambda t: t.numpy()])
def test_lists_and_arrays_are_drawn_as_tensors(given):
    values, places = torch.linspace(-1, 3, 7), given(PLACES)
    figure = plotting.draw_complex(SQUARES, given(values), positions=places)
    (dots,) = artists(figure, PathCollection)
    np.testing.assert_allclose(dots.get_array(), values)
    np.testing.assert_array_equal(dots.get_offsets(), PLACES)
    figure = plotting.draw_spectrum({"before": given(values)})
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), values)
    column = given(values.abs()[:, None])
    plotting.parity_plot(["y"], column, column, column)


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys, torch, topodiff as td\n"
        "sys.modules.update(dict.fromkeys(('matplotlib', 'matplotlib.figure')))\n"
        "try:\n    td.plotting.draw_complex(td.CellComplex.from_simplices([(0, 1)]))\n"
        "except ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'topodiff[plot]'" in run.stdout, run.stderr


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_vertices_with_positions_of_any_dimension(n, dim):
    K = td.CellComplex.from_edges(
        n, torch.tensor([[0], [1]]) if n == 2 else torch.empty(2, 0).long()
    )
    for positions in (torch.arange(float(n * dim)).reshape(n, dim), None):
        figure = plotting.draw_complex(K, torch.zeros(n), positions=positions)
        assert artists(figure, PathCollection)[0].get_offsets().shape == (n, 2)
        plotting.draw_complex(K)


def test_large_graphs_are_laid_out_by_eigenvectors():
    parts = [nx.grid_2d_graph(50, 30), nx.path_graph(40), nx.empty_graph(3), nx.path_graph(2)]
    graph = nx.convert_node_labels_to_integers(nx.disjoint_union_all(parts))
    K = td.from_networkx(graph)
    places = layout(K)
    assert np.isfinite(places).all()
    np.testing.assert_array_equal(places, layout(K))
    edges = np.linalg.norm(np.subtract(*places[K.edge_index.numpy()]), axis=1)
    pairs = np.linalg.norm(places[:500] - places[700:1200], axis=1)
    assert 10 * edges.mean() < pairs.mean()
    starts = np.cumsum([0, 1500, 40, 1, 1, 1, 2])
    boxes = [(places[a:b].min(0), places[a:b].max(0)) for a, b in pairwise(starts)]
    for (low, high), (other_low, other_high) in combinations(boxes, 2):
        assert ((high < other_low) | (other_high < low)).any()


def test_frames_are_evenly_chosen():
    K, times = td.from_networkx(nx.path_graph(3)), torch.linspace(0, 1, 11)
    solution = td.diffuse(GraphLaplacian(K), torch.ones(3, 1), 1.0, save_at=times)
    figure = plotting.draw_flow(K, solution, num_frames=4, positions=torch.eye(3)[:, :2])
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "t = 0",
        "t = 0.3",
        "t = 0.7",
        "t = 1",
    ]


def test_flows_on_no_cells(tmp_path):
    """The rings of a graph that has none."""
    path = td.liftings.RingLifting()(nx.path_graph(4))
    times = torch.linspace(0, 1, 3)
    solution = td.diffuse(HodgeLaplacian(path, 2), torch.zeros(0, 2), 1.0, save_at=times)
    assert len(plotting.draw_flow(path, solution, 2).axes) == 4
    animation = plotting.animate_flow(path, solution, 2)
    animation.save(tmp_path / "flow.gif", writer="pillow", dpi=30)
    assert (tmp_path / "flow.gif").exists()
