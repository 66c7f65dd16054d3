"""How near the default omega_0 comes to the best of ten, picked by the test error itself.

Small tables of one to three variables, with and without noise; the error is 1 - R² against the
noiseless truth at 2000 new points, and at least 1e-10. The paper's 30 stands beside. The candidates
and "auto" take turns within a table, and every random state draws rows, noise and weights anew.
"""

import argparse

import numpy as np
from common import describe_environment, write_json
from functions import FLOOR, FUNCTIONS, n_variables, table

from skinr import SirenRegressor

CANDIDATES = ("0.3", "1", "1.5", "2.5", "4", "6", "10", "15", "30", "50")
SIZES = {1: (100, 300), 2: (200, 500), 3: (500,)}
TABLES = [
    (name, n_rows, noise)
    for name in FUNCTIONS
    for n_rows in SIZES[n_variables(name)]
    for noise in (0.0, 0.1)
]


def test_errors(name, n_rows, noise, random_state):
    """Return 1 - R² for every candidate and for "auto", and what "auto" chose."""
    X, y, new, truth = table(name, n_rows, noise, random_state)
    order = np.random.default_rng(random_state).permutation([*CANDIDATES, "auto"]).tolist()
    errors = {}
    for omega_0 in order:
        parameter = omega_0 if omega_0 == "auto" else float(omega_0)
        model = SirenRegressor(omega_0=parameter, random_state=random_state).fit(X, y)
        errors[omega_0] = max(FLOOR, 1 - model.score(new, truth))
        if omega_0 == "auto":
            chosen = model.omega_0_
    return errors, chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--tables", type=int, default=len(TABLES), help="only the first so many")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'table':<12}{'rows':>5}{'noise':>7}{'best':>7}{'1-R²':>9}", end="")
    print(f"{'auto':>7}{'1-R²':>9}{'/ best':>8}{'30 / best':>14}")
    results = []
    for name, n_rows, noise in TABLES[: options.tables]:
        for state in range(options.states):
            errors, chosen = test_errors(name, n_rows, noise, state)
            best = min(CANDIDATES, key=errors.get)
            ratio, ratio_30 = errors["auto"] / errors[best], errors["30"] / errors[best]
            results.append(
                {
                    "table": name,
                    "rows": n_rows,
                    "noise": noise,
                    "random_state": state,
                    "best": best,
                    "auto": chosen,
                    "errors": errors,
                }
            )
            print(
                f"{name:<12}{n_rows:>5}{noise:>7}{best:>7}{errors[best]:>9.1e}"
                f"{chosen:>7.2g}{errors['auto']:>9.1e}{ratio:>8.1f}{ratio_30:>14.1f}",
                flush=True,
            )
    for key in ("auto", "30"):
        ratios = [
            outcome["errors"][key] / outcome["errors"][outcome["best"]] for outcome in results
        ]
        low, median, high = np.quantile(ratios, [0.1, 0.5, 0.9])
        print(
            f"omega_0={key}: error over that of the best of ten, median {median:.1f}, "
            f"10% to 90% {low:.1f} to {high:.1f}, worst {max(ratios):.1f}"
        )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
