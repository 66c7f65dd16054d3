"""What `predict` costs, against its matrix products and sines alone.

"Alone" is the products, by the same libraries, and the sines of one forward pass after the other,
on arrays of the shapes that `predict` uses. Validation, units, chunks and biases are what it has
beside. The two take turns in changing order; ratios are taken round by round.
"""

import argparse

import numpy as np
import torch
from common import describe_environment, time_rounds, write_json

from skinr import SirenRegressor
from skinr.network import Architecture
from skinr.passes import EVALUATION_CHUNK
from skinr.products import product

N_ROWS, N_FEATURES = 65_536, 2
CONFIGURATIONS = [((256,) * 4, 3), ((128,) * 4, 3), ((128,) * 4, 1), ((64,) * 3, 1)]


def predict(hidden_layer_sizes, n_outputs):
    """Return a function that evaluates a network at all positions as skinr does it."""
    draw = np.random.default_rng(0)
    X, y = draw.uniform(-1, 1, (N_ROWS, N_FEATURES)), draw.normal(size=(N_ROWS, n_outputs))
    model = SirenRegressor(hidden_layer_sizes, omega_0=30, max_iter=1, random_state=0).fit(X, y)
    return lambda: model.predict(X)


def products_and_sines(hidden_layer_sizes, n_outputs):
    """Return a function that does the arithmetic of that, and nothing else."""
    shapes = Architecture(N_FEATURES, hidden_layer_sizes, n_outputs).layer_shapes
    weights = [torch.randn(1, *shape) / shape[0] ** 0.5 for shape in shapes]
    layers = [torch.randn(1, EVALUATION_CHUNK, n_in) for n_in, _ in shapes]
    output = torch.empty(1, EVALUATION_CHUNK, n_outputs)

    def arithmetic():
        for _ in range(N_ROWS // EVALUATION_CHUNK):
            for index, weight in enumerate(weights[:-1]):
                product(layers[index], weight, None, layers[index + 1])
                torch.sin(layers[index + 1], out=layers[index + 1])
            product(layers[-1], weights[-1], None, output)

    return arithmetic


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{N_ROWS} positions    hidden layers  outputs  milliseconds: predict   alone", end="")
    print("   predict / alone (10% to 90%)")
    results = []
    for hidden_layer_sizes, n_outputs in CONFIGURATIONS:
        functions = [make(hidden_layer_sizes, n_outputs) for make in (predict, products_and_sines)]
        seconds = time_rounds(functions, options.rounds)
        predicted, alone = 1e3 * np.median(seconds, axis=0)
        low, ratio, high = np.quantile(seconds[:, 0] / seconds[:, 1], [0.1, 0.5, 0.9])
        results.append(
            {
                "hidden_layer_sizes": hidden_layer_sizes,
                "outputs": n_outputs,
                "seconds": seconds.T.tolist(),
            }
        )
        print(
            f"{hidden_layer_sizes!s:>32}{n_outputs:>9}{predicted:>23.1f}{alone:>8.1f}"
            f"{ratio:>18.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
