"""Error bars of small tables: how often the 95% interval holds a new value, how wide, at what cost.

Functions of one to three variables, two sizes each: with 10% noise, with rows that are denser on
one side and 10% noise, and without noise, even or not. New values have the noise of the table,
exact ones none. The interval is the prediction ± 1.96 standard deviations, of an ensemble of 8 and
of a Gaussian process, which is fitted to 2000 rows at most.
"""

import argparse

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from functions import FUNCTIONS, n_variables, table
from tables import gaussian_process

from skinr import SirenRegressor

SIZES = {1: (100, 300), 2: (200, 500), 3: (200, 500)}
CONDITIONS = {
    "10% noise": (0.1, True),
    "uneven, 10% noise": (0.1, False),
    "exact": (0.0, True),
    "uneven, exact": (0.0, False),
}
OURS, PEER = "ensemble of 8", "GP"
MOST_ROWS_OF_PEER = 2000


def models(random_state):
    return {
        OURS: SirenRegressor(n_estimators=8, random_state=random_state),
        PEER: gaussian_process(random_state),
    }


def measure(name, n_rows, condition, random_state):
    """Return of each model coverage and width, in units of the truth's deviation; and the cost."""
    noise, even = CONDITIONS[condition]
    X, y, new, truth = table(name, n_rows, noise, random_state, even=even)
    draw = np.random.default_rng(1000 + random_state)
    unit = FUNCTIONS[name](*X.T).std()
    values = truth + draw.normal(0, noise * unit, len(truth))
    fitted = models(random_state)
    one = seconds_to_fit(SirenRegressor(random_state=random_state), X, y)
    results = {"cost": seconds_to_fit(fitted[OURS], X, y) / one, "seconds": one}
    seconds_to_fit(fitted[PEER], X[:MOST_ROWS_OF_PEER], y[:MOST_ROWS_OF_PEER])
    for key, model in fitted.items():
        mean, std = model.predict(new, return_std=True)
        results[key] = {
            "coverage": float(np.mean(np.abs(values - mean) <= 1.96 * std)),
            "width": float(2 * 1.96 * np.mean(std) / unit),
            "error": float(np.sqrt(np.mean((mean - truth) ** 2)) / unit),
        }
    results["noise"] = float(fitted[OURS].noise_[0] / unit)
    return results


def summarise(rows):
    print(
        f"\n{'95% intervals':<20}{'':<16}{'mean':>7}{'median':>8}{'worst':>8}{'90-98%':>8}", end=""
    )
    print(f"{'width / GP width':>18}{'8 over 1: median':>18}{'at 300':>8}{'worst':>7}")
    for condition in CONDITIONS:
        chosen = [row for row in rows if row["condition"] == condition]
        for key in (OURS, PEER):
            coverage = np.array([row[key]["coverage"] for row in chosen])
            within = np.mean((coverage >= 0.9) & (coverage <= 0.98))
            print(
                f"{condition:<20}{key:<16}{coverage.mean():>7.1%}{np.median(coverage):>8.1%}"
                f"{coverage.min():>8.1%}{within:>8.0%}",
                end="" if key == OURS else "\n",
            )
            if key == OURS:
                width = np.median([row[OURS]["width"] / row[PEER]["width"] for row in chosen])
                cost = [row["cost"] for row in chosen]
                at_300 = [row["cost"] for row in chosen if row["rows"] == 300] or [np.nan]
                print(f"{width:>18.2f}{np.median(cost):>18.1f}{np.median(at_300):>8.1f}", end="")
                print(f"{max(cost):>7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS))
    parser.add_argument("--rows", type=int, nargs="+", help="instead of two sizes each")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print("coverage of the ensemble and of the GP, their widths, noise, 8 networks over one")
    rows = []
    for state in range(options.states):
        for condition in CONDITIONS:
            for name in options.functions:
                for n_rows in options.rows or SIZES[n_variables(name)]:
                    row = measure(name, n_rows, condition, state)
                    rows.append({"function": name, "rows": n_rows, "condition": condition, **row})
                    ours, peer = row[OURS], row[PEER]
                    print(
                        f"{name:<11}{n_rows:>5} {condition:<18}{ours['coverage']:>8.1%}"
                        f"{peer['coverage']:>8.1%}{ours['width']:>10.2g}{peer['width']:>10.2g}"
                        f"{row['noise']:>10.2g}{row['cost']:>7.1f}",
                        flush=True,
                    )
    summarise(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
