"""Which layers suit small tables: those that "auto" takes, beside smaller and larger ones.

Functions and conditions of tables.py. The error is 1 - R² against the noiseless truth at 2000 new
points, and at least 1e-10. Shapes take turns in random order; their errors and seconds stand beside
those of four layers of 128 units.
"""

import argparse

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from functions import FLOOR, FUNCTIONS, n_variables, table
from tables import CONDITIONS

from skinr import SirenRegressor

REFERENCE = "4 x 128"
SHAPES = {"auto": "auto", "4 x 64": (64,) * 4, "4 x 96": (96,) * 4, REFERENCE: (128,) * 4}
SIZES = {1: (100, 300), 2: (200,), 3: (200,)}
FIRST_STATE = 100  # the rules of the solver were chosen on states from 0 on


def measure(name, n_rows, condition, random_state):
    """Return error and seconds of every shape."""
    noise, even = CONDITIONS[condition]
    X, y, new, truth = table(name, n_rows, noise, random_state, even=even)
    results = {}
    for shape in np.random.default_rng(random_state).permutation(list(SHAPES)).tolist():
        model = SirenRegressor(SHAPES[shape], random_state=random_state)
        seconds = seconds_to_fit(model, X, y)
        results[shape] = (max(FLOOR, float(1 - model.score(new, truth))), seconds)
    return results


def summarise(rows):
    """Print how errors and times stand to those of the reference, for each condition."""
    print(
        f"\n{'over ' + REFERENCE:<24}{'error: mean':>12}{'median':>8}{'10%':>8}{'90%':>8}", end=""
    )
    print(f"{'time in total':>15}")
    for condition in CONDITIONS:
        found = [row["results"] for row in rows if row["condition"] == condition]
        for shape in SHAPES:
            errors, seconds = np.array([[one[shape], one[REFERENCE]] for one in found]).T
            ratio = np.log(errors[0] / errors[1])
            low, median, high = np.exp(np.quantile(ratio, [0.1, 0.5, 0.9]))
            print(
                f"{condition:<12}{shape:<12}{np.exp(ratio.mean()):>12.2f}{median:>8.2f}"
                f"{low:>8.2g}{high:>8.2g}{seconds[0].sum() / seconds[1].sum():>15.2f}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS))
    parser.add_argument("--rows", type=int, nargs="+", help="instead of one or two sizes each")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    rows = [
        {
            "function": name,
            "rows": n_rows,
            "condition": condition,
            "results": measure(name, n_rows, condition, state),
        }
        for state in range(FIRST_STATE, FIRST_STATE + options.states)
        for name in options.functions
        for n_rows in options.rows or SIZES[n_variables(name)]
        for condition in CONDITIONS
    ]
    summarise(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
