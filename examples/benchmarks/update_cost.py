"""What one update costs, against its matrix products and sines alone and against autograd.

The full update gathers a random batch, runs forward and backward, and takes an Adam step. "Alone"
is its matrix products, by the same libraries, its sines and cosines on arrays of the same shapes.
"Autograd" is the same network as a torch module with torch's fused Adam, on the same batches. The
four take turns in changing order; ratios are taken round by round, but for that of SOAP, which has
more to do in one update of twenty: there the means over all rounds are compared.
"""

import argparse
from functools import partial

import numpy as np
import torch
from common import describe_environment, time_rounds, write_json

from skinr.eigenbasis import Eigenbasis
from skinr.network import Architecture, SirenStack
from skinr.objectives import Objective
from skinr.optimizers import Adam
from skinr.products import product, weight_gradient
from skinr.rows import TrainingRows

CONFIGURATIONS = [
    ((256,) * 4, 8192),
    ((256,) * 4, 2048),
    ((128,) * 4, 8192),
    ((128,) * 4, 2048),
    ((64,) * 3, 512),
]
N_ROWS, N_FEATURES, N_OUTPUTS = 65_536, 2, 3


def make_rows():
    """Return random rows, as many as a picture of 256 x 256 pixels has."""
    draw = torch.Generator().manual_seed(0)
    coordinates = 2 * torch.rand(1, N_ROWS, N_FEATURES, generator=draw) - 1
    return TrainingRows(coordinates, torch.randn(1, N_ROWS, N_OUTPUTS, generator=draw))


def make_stack(hidden_layer_sizes):
    """Return a network as a stack of one."""
    architecture = Architecture(N_FEATURES, hidden_layer_sizes, N_OUTPUTS)
    return SirenStack.initialize(architecture, [30.0], [30.0], [torch.Generator().manual_seed(0)])


def full_update(rows, hidden_layer_sizes, batch_size, solver="adam"):
    """Return a function that does one update as skinr does it."""
    stack = make_stack(hidden_layer_sizes)
    objective = Objective(stack, "squared_error", 0.0)
    optimizer = Adam(stack, basis=Eigenbasis(stack) if solver == "soap" else None)
    batches = rows.batches(batch_size, [torch.Generator().manual_seed(0)])

    @torch.no_grad()
    def update():
        _, gradient = objective.loss_and_gradient(next(batches))
        optimizer.step(gradient, 1e-4)

    return update


def products_and_sines(rows, hidden_layer_sizes, batch_size):
    """Return a function that does the arithmetic of one update, and nothing else."""
    layers = [
        (
            torch.randn(1, batch_size, fan_in),
            torch.randn(1, fan_in, fan_out),
            torch.randn(1, batch_size, fan_out),
            torch.empty(1, fan_in, fan_out),
        )
        for fan_in, fan_out in make_stack(hidden_layer_sizes).architecture.layer_shapes
    ]
    cosines = [torch.empty_like(output) for _, _, output, _ in layers]

    @torch.no_grad()
    def arithmetic():
        for index, (inputs, weight, output, _) in enumerate(layers):
            product(inputs, weight, None, output)
            if index < len(layers) - 1:
                torch.cos(output, out=cosines[index])
                torch.sin(output, out=output)
        for index, (inputs, weight, output, by_weight) in enumerate(layers):
            weight_gradient(inputs, output, by_weight)
            if index > 0:
                product(output, weight.mT, None, inputs)

    return arithmetic


def autograd(rows, hidden_layer_sizes, batch_size):
    """Return a function that does one update by autograd and torch's fused Adam."""
    network = make_stack(hidden_layer_sizes).network(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    batches = rows.batches(batch_size, [torch.Generator().manual_seed(0)])

    def update():
        batch = next(batches)
        optimizer.zero_grad()
        values = network(batch.coordinates[0])
        torch.nn.functional.mse_loss(values, batch.targets[0]).backward()
        optimizer.step()

    return update


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'hidden layers':<22}{'batch':>6}  milliseconds: {'update':>7}{'alone':>8}", end="")
    print(f"{'autograd':>10}   update / alone (10% to 90%)   autograd / update  SOAP / update")
    rows, results = make_rows(), []
    for hidden_layer_sizes, batch_size in CONFIGURATIONS:
        functions = [
            make(rows, hidden_layer_sizes, batch_size)
            for make in (
                full_update,
                products_and_sines,
                autograd,
                partial(full_update, solver="soap"),
            )
        ]
        seconds = time_rounds(functions, options.rounds)
        update, alone, by_autograd, _ = 1e3 * np.median(seconds, axis=0)
        low, ratio, high = np.quantile(seconds[:, 0] / seconds[:, 1], [0.1, 0.5, 0.9])
        gain = np.median(seconds[:, 2] / seconds[:, 0])
        soap = seconds[:, 3].mean() / seconds[:, 0].mean()
        results.append(
            {
                "hidden_layer_sizes": hidden_layer_sizes,
                "batch_size": batch_size,
                "seconds": seconds.T.tolist(),
            }
        )
        print(
            f"{hidden_layer_sizes!s:<22}{batch_size:>6}{update:>23.2f}{alone:>8.2f}"
            f"{by_autograd:>10.2f}{ratio:>11.2f} ({low:.2f} to {high:.2f})"
            f"{gain:>20.2f}{soap:>15.2f}",
            flush=True,
        )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
