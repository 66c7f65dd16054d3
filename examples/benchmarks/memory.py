"""What large tables cost: memory of `predict` and `fit`, and updates against those of a small one.

Each peak is that of a process of its own, less what it had after its imports: of `predict` at the
pixels of a 4K picture, with input and output; of a `fit` to a table of two features in a file, with
as much of the file as the operating system has mapped. An update gathers a batch, runs forward and
backward, and takes a step; those on the file take turns with those on 50,000 rows in memory.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from common import (
    describe_environment,
    in_a_fresh_process,
    peak_megabytes,
    time_rounds,
    write_json,
)

from skinr import SirenRegressor
from skinr.optimizers import Adam
from skinr.problem import prepare

N_PIXELS, N_SMALL, PIECE = 3840 * 2160, 50_000, 1_000_000


def table(n_rows, state=0):
    """Return rows of two features and a value."""
    draw = np.random.default_rng(state)
    X = draw.uniform(-1, 1, (n_rows, 2)).astype(np.float32)
    return np.column_stack([X, np.sin(20 * X[:, 0] * X[:, 1])])


def write_table(path, n_rows):
    """Write a float32 table piece by piece."""
    file = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, 3))
    for first in range(0, n_rows, PIECE):
        file[first : first + PIECE] = table(min(PIECE, n_rows - first), first)


def split(path):
    """Return X and y of a file, mapped."""
    mapped = np.load(path, mmap_mode="r")
    return mapped[:, :2], mapped[:, 2]


def predict_cost(n_rows):
    """Return megabytes and seconds of `predict`, and the megabytes of its input and output."""
    rows = table(N_SMALL)
    model = SirenRegressor(max_iter=1).fit(rows[:, :2], rows[:, 2])
    X = np.random.default_rng(0).random((n_rows, 2), dtype=np.float32)
    before, start = peak_megabytes(), perf_counter()
    y = model.predict(X)
    return peak_megabytes() - before, perf_counter() - start, y.nbytes / 2**20


def fit_cost(path, max_iter):
    """Return megabytes and seconds of a fit to a file."""
    before, start = peak_megabytes(), perf_counter()
    SirenRegressor(max_iter=max_iter).fit(*split(path))
    return peak_megabytes() - before, perf_counter() - start


def update(X, y):
    """Return a function that does one update."""
    problem = prepare(SirenRegressor(solver="adam", omega_0=30), X, y, continued=False)
    optimizer = Adam(problem.stack)
    batches = problem.rows.batches(2048, problem.generators)

    @torch.no_grad()
    def step():
        _, gradient = problem.objective.loss_and_gradient(next(batches))
        optimizer.step(gradient, 1e-4)

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--positions", type=int, default=N_PIXELS)
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    n_rows = int(options.rows)
    print(describe_environment())
    beyond, seconds, of_output = in_a_fresh_process(predict_cost, options.positions)
    print(
        f"\npredict at {options.positions:,} positions: {beyond - of_output:.0f} MB beyond input "
        f"and output, {seconds:.1f} s"
    )
    results = {"predict": {"megabytes": beyond - of_output, "seconds": seconds}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        in_a_fresh_process(write_table, path, n_rows)
        beyond, seconds = in_a_fresh_process(fit_cost, path, options.max_iter)
        print(
            f"fit to {n_rows:,} rows in a file of {12 * n_rows / 2**20:.0f} MB: {beyond:.0f} MB "
            f"beyond imports, {seconds:.1f} s for {options.max_iter} updates"
        )
        results["fit"] = {"megabytes": beyond, "seconds": seconds}
        rows = table(N_SMALL)
        large, small = update(*split(path)), update(rows[:, :2], rows[:, 2])
        times = time_rounds([large, small], options.rounds)
    low, ratio, high = np.quantile(times[:, 0] / times[:, 1], [0.1, 0.5, 0.9])
    print(
        f"an update on them: {1e3 * np.median(times[:, 0]):.2f} ms, {ratio:.2f} times "
        f"({low:.2f} to {high:.2f}) one on {N_SMALL:,} rows"
    )
    write_json(options.json, {**results, "updates": times.T.tolist()})


if __name__ == "__main__":
    main()
