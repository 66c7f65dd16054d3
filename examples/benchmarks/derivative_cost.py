"""What derivatives cost, over what values cost.

Two tables: evaluating a fitted network (the gradient, the Laplacian and the Hessian over
`predict`), and one update of a fit (to gradients, to Laplacians and to both with values, over one
to values). The functions take turns in changing order; ratios are taken round by round.
"""

import argparse

import numpy as np
from common import describe_environment, time_rounds, write_json

from skinr import SirenRegressor

CONFIGURATIONS = [
    ((128,) * 4, 2, 1),
    ((128,) * 4, 2, 3),
    ((256,) * 4, 2, 1),
    ((64,) * 3, 2, 1),
    ((128,) * 4, 1, 1),
    ((128,) * 4, 3, 1),
]


def table(n_rows, n_features, n_outputs):
    """Return positions with random values, gradients and Laplacians."""
    random = np.random.default_rng(0)
    return (
        random.uniform(-1, 1, (n_rows, n_features)),
        random.normal(size=(n_rows, n_outputs)),
        random.normal(size=(n_rows, n_outputs, n_features)),
        random.normal(size=(n_rows, n_outputs)),
    )


def evaluations(hidden_layer_sizes, n_features, n_outputs, n_rows):
    """Return what to time by name: evaluations, the first of values."""
    X, y, _, _ = table(n_rows, n_features, n_outputs)
    model = SirenRegressor(hidden_layer_sizes, omega_0=30, max_iter=1, random_state=0).fit(X, y)
    return {
        "values": lambda: model.predict(X),
        "gradient": lambda: model.gradient(X),
        "both": lambda: model.predict(X, return_gradient=True),
        "Laplacian": lambda: model.laplacian(X),
        "Hessian": lambda: model.hessian(X),
    }


def updates(hidden_layer_sizes, n_features, n_outputs, n_rows):
    """Return what to time by name: a piece of a stream, the first of values."""
    X, y, gradient, laplacian = table(n_rows, n_features, n_outputs)
    targets = {
        "values": {"y": y},
        "gradient": {"gradient": gradient},
        "values and gradient": {"y": y, "gradient": gradient},
        "Laplacian": {"laplacian": laplacian},
    }

    def stream(targets):
        model = SirenRegressor(
            hidden_layer_sizes, omega_0=30, learning_rate_init=1e-5, random_state=0
        )
        return lambda: model.partial_fit(X, **targets)

    return {name: stream(part) for name, part in targets.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    results = []
    for title, make in [("evaluation", evaluations), ("update", updates)]:
        print(f"\n{title}, over that of values: median (10% to 90%)")
        for hidden_layer_sizes, n_features, n_outputs in CONFIGURATIONS:
            functions = make(hidden_layer_sizes, n_features, n_outputs, options.rows)
            seconds = time_rounds(list(functions.values()), options.rounds)
            ratios = seconds[:, 1:] / seconds[:, :1]
            cells = [
                f"{name} {ratio:.2f} ({low:.2f} to {high:.2f})"
                for name, low, ratio, high in zip(
                    list(functions)[1:], *np.quantile(ratios, [0.1, 0.5, 0.9], axis=0), strict=True
                )
            ]
            shape = f"{n_features} to {n_outputs}, {hidden_layer_sizes}"
            print(f"{shape:<32}{', '.join(cells)}", flush=True)
            results.append({"what": title, "shape": shape, "seconds": seconds.T.tolist()})
    write_json(options.json, results)


if __name__ == "__main__":
    main()
