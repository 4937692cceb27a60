"""Graphs, operators, laws and options that the tests of solvers share."""

import networkx as nx
import torch

from topodiff.complexes import CellComplex
from topodiff.operators import GraphLaplacian, SheafLaplacian
from topodiff.sheaves import CellularSheaf


def graph(g):
    edges = torch.tensor(list(g.edges)).T.reshape(2, -1)
    return CellComplex.from_edges(g.number_of_nodes(), edges)


KARATE = graph(nx.karate_club_graph())
SMALL = graph(nx.path_graph(5))
STEPPING = {
    "euler": {"num_steps": 9},
    "rk4": {"num_steps": 5},
    "adams_bashforth": {"num_steps": 9},
    "implicit_euler": {"num_steps": 9},
    "crank_nicolson": {"num_steps": 5},
    "bdf2": {"num_steps": 9},
    "adams_moulton": {"num_steps": 9, "order": 3},
    "imex": {"num_steps": 9},
    "dormand_prince": {"rtol": 1e-5, "atol": 1e-7},
    "bogacki_shampine": {"rtol": 1e-4, "atol": 1e-6},
}


def laplacian(kind="symmetric", complex=KARATE, dtype=torch.float64, weighted=True):
    """Of weights all 1, so that it holds numbers of the dtype."""
    weights = torch.ones(complex.num_cells(1), dtype=dtype) if weighted else None
    return GraphLaplacian(complex, kind, weights=weights)


def random_weights(complex=SMALL, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(complex.num_cells(1), generator=generator, dtype=torch.float64) + 0.5


def leaves():
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    return random_weights().requires_grad_(), x


def sheaf_laplacian(maps, normalized=False, complex=SMALL, **options):
    sheaf = CellularSheaf(complex, maps.shape[-1], maps, **options)
    return SheafLaplacian(sheaf, normalized)


def state(operator, channels=3, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (*operator.col_shape, channels)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def exact(operator, x, t):
    """``exp(-t L) x`` from the dense matrix."""
    flat = x.reshape(operator.shape[1], -1)
    return (torch.linalg.matrix_exp(-t * operator.to_dense().to(x.dtype)) @ flat).reshape(x.shape)


class Oscillator:
    """``d2x/dt2 = -A x - damping v``."""

    order = 2
    autonomous = True
    linear = True

    def __init__(self, operator, damping=0.0):
        self.operator, self.damping = operator, damping

    def acceleration(self, t, x, v):
        return -(self.operator @ x) - self.damping * v

    def linear_operator(self, t):
        return self.operator


class Dragged(Oscillator):
    """With friction that it does not declare."""

    linear = False

    def __init__(self, operator, friction, damping=0.0):
        super().__init__(operator, damping)
        self.friction = friction

    def acceleration(self, t, x, v):
        return super().acceleration(t, x, v) - self.friction(v)


class Reaction:
    """``dx/dt = -A x + x (1 - x^2)``: stiff linear part, nonlinear rest, symmetric Jacobian."""

    autonomous = True
    symmetric = True

    def __init__(self, operator, factor=1.0):
        self.operator, self.factor = operator, factor

    def __call__(self, t, x):
        return self.rest(t, x) - self.operator @ x

    def rest(self, t, x):
        return self.factor * (x - x**3)

    def linear_operator(self, t):
        return self.operator


class Forced:
    """``dx/dt = -x + cos t``, exactly ``(cos t + sin t) / 2 + (x0 - 1/2) exp(-t)``."""

    def __call__(self, t, x):
        return torch.cos(t) - x

    @staticmethod
    def exact(x0, t):
        t = torch.as_tensor(t, dtype=x0.dtype)
        return (torch.cos(t) + torch.sin(t)) / 2 + (x0 - 0.5) * torch.exp(-t)


def saved_numbers(run):
    """How many numbers the graph of a run keeps."""
    total = {}

    def pack(tensor):
        # held, so that no other tensor takes its place in memory
        total[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = run()
    assert kept.requires_grad
    return sum(tensor.numel() for tensor in total.values())
