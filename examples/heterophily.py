"""Classify the vertices of a graph whose neighbours differ. Run: python examples/heterophily.py

Texas: 183 web pages of a university in five classes (student, course, ...), joined by links; only
6 % of the links join pages of one class. A graph convolution averages over neighbours and loses
what tells classes apart; a perceptron does not look at them; neural sheaf diffusion learns how
neighbours are to be compared. The data are downloaded on first use, or read from the folder named
by TOPODIFF_MIRROR. The whole benchmark: topodiff bench heterophily
"""

import statistics

import torch

import topodiff as td
from topodiff.datasets import load_nodes
from topodiff.training import NodeFitConfig, evaluate_nodes, fit_nodes

SPLITS = 3  # of ten

torch.set_num_threads(1)  # a small graph: a second thread costs more than it gives

# 1. The graph is a complex of rank 1 with features on its vertices; splits are the published ones.
data = load_nodes("texas")
print(data.complex)
tail, head = data.complex.edge_index
print(f"links within a class: {(data.y[tail] == data.y[head]).double().mean():.0%}")

# 2. Three models with one interface, each with the weight decay that suits it.
size = {"in_channels": data.num_features, "out_channels": data.num_classes}
MODELS = {
    "perceptron": (5e-4, lambda: td.nn.NodeMLP(hidden_channels=64, **size)),
    "graph convolution": (5e-4, lambda: td.nn.GCN(hidden_channels=64, **size)),
    "sheaf diffusion, O(3)": (
        5e-3,
        lambda: td.nn.NeuralSheafDiffusion(
            hidden_channels=20, stalk_dim=3, num_layers=4, dropout=0.7, edge_weights=True, **size
        ),
    ),
}

# 3. The best epoch is chosen on validation vertices; the test vertices are looked at once.
for name, (decay, make) in MODELS.items():
    accuracies = []
    for split in range(SPLITS):
        torch.manual_seed(split)
        config = NodeFitConfig(epochs=300, learning_rate=0.02, weight_decay=decay, seed=split)
        masks = data.train[split], data.val[split]
        fitted = fit_nodes(make(), data.complex, data.y, *masks, config)
        accuracies.append(evaluate_nodes(fitted.model, data.complex, data.y, data.test[split]))
    print(f"{name:22s} {statistics.mean(accuracies):.1%} on {SPLITS} test sets")
