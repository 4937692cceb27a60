"""Known spaces as simplicial and as cell complexes."""

from itertools import product

import torch

from topodiff.complexes import CellComplex


def torus_7():
    """Moebius' torus on 7 vertices."""
    triangles = [(i, (i + 1) % 7, (i + 3) % 7) for i in range(7)]
    return CellComplex.from_simplices(triangles + [(i, (i + 2) % 7, (i + 3) % 7) for i in range(7)])


def projective_plane_6():
    """The projective plane on 6 vertices."""
    names = "012 023 034 045 015 124 235 134 245 135"
    return CellComplex.from_simplices([tuple(map(int, name)) for name in names.split()])


def hemicube():
    """The projective plane as the three squares on 4 vertices."""
    squares = [[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3]]
    return CellComplex.from_rings(4, torch.combinations(torch.arange(4)).T, squares)


def grid(rows, columns, twist, triangulate):
    """Squares of a grid with opposite sides glued: a torus, or with a twist a Klein bottle."""

    def vertex(i, j):
        if j >= columns:
            i, j = (-i if twist else i), j - columns
        return (i % rows) * columns + j

    squares = [
        [vertex(i, j), vertex(i, j + 1), vertex(i + 1, j + 1), vertex(i + 1, j)]
        for i, j in product(range(rows), range(columns))
    ]
    if triangulate:
        halves = [triangle for a, b, c, d in squares for triangle in ((a, b, c), (a, c, d))]
        return CellComplex.from_simplices(halves)
    sides = [pair for s in squares for pair in zip(s, s[1:] + s[:1], strict=True)]
    return CellComplex.from_rings(rows * columns, torch.tensor(sides).T, squares)


def cube_boundaries(dim):
    """Shape and boundaries of the solid cube: faces of a cell fix one of its free coordinates."""
    cells = {r: [] for r in range(dim + 1)}
    for cell in product("01*", repeat=dim):
        cells[cell.count("*")].append(cell)
    boundaries = {}
    for r in range(1, dim + 1):
        entries, signs = [], []
        for number, cell in enumerate(cells[r]):
            free = [k for k, symbol in enumerate(cell) if symbol == "*"]
            for place, k in enumerate(free):
                for end in "01":
                    face = (*cell[:k], end, *cell[k + 1 :])
                    entries.append((cells[r - 1].index(face), number))
                    signs.append((-1) ** place * (1 if end == "1" else -1))
        boundaries[r] = (torch.tensor(entries).T, torch.tensor(signs))
    return tuple(len(cells[r]) for r in range(dim + 1)), boundaries


def cube(dim):
    """The solid cube as a complex of rank ``dim``."""
    return CellComplex.from_boundaries(*cube_boundaries(dim))
