"""Small tables: `SirenRegressor()` beside scikit-learn's regressors, error and time.

Functions of one to three variables: smooth, oscillating, and rough; two sizes each, without noise,
with 10% noise, and with rows that are denser on one side. The error is 1 - R² against the noiseless
truth at 2000 new points, and at least 1e-10. Every regressor has the settings that it is usually
given, behind a scaler; they take turns in random order. Writes tables.png to the folder `figures`.
"""

import argparse
from pathlib import Path

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from functions import FLOOR, FUNCTIONS, ROUGH, n_variables, table
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skinr import SirenRegressor

OURS = "SirenRegressor()"
SIZES = {1: (100, 300), 2: (200, 500), 3: (200, 500)}
CONDITIONS = {"exact": (0.0, True), "10% noise": (0.1, True), "uneven": (0.0, False)}


def gaussian_process(random_state):
    """Return the best peer of smooth tables; started once its optimiser fails on many of them."""
    kernel = ConstantKernel() * RBF() + WhiteKernel(noise_level_bounds=(1e-12, 1e1))
    return GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=5, random_state=random_state
    )


PEERS = {
    "GP": gaussian_process,
    "MLP": lambda state: MLPRegressor(
        hidden_layer_sizes=(128,) * 4, max_iter=1000, random_state=state
    ),
    "forest": lambda state: RandomForestRegressor(300, random_state=state),
    "boosting": lambda state: GradientBoostingRegressor(n_estimators=300, random_state=state),
    "kNN": lambda state: KNeighborsRegressor(3, weights="distance"),
    "SVR": lambda state: SVR(C=100.0, epsilon=0.01),
}


def regressors(random_state):
    peers = {
        name: make_pipeline(StandardScaler(), make(random_state)) for name, make in PEERS.items()
    }
    return {OURS: SirenRegressor(random_state=random_state), **peers}


def measure(name, n_rows, condition, random_state):
    """Return error and seconds of every regressor."""
    noise, even = CONDITIONS[condition]
    X, y, new, truth = table(name, n_rows, noise, random_state, even=even)
    models = regressors(random_state)
    results = {}
    for key in np.random.default_rng(random_state).permutation(list(models)).tolist():
        seconds = seconds_to_fit(models[key], X, y)
        results[key] = (max(FLOOR, float(1 - models[key].score(new, truth))), seconds)
    return results


def draw(rows, path):
    """Draw each table's error beside that of the best peer."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 6), layout="constrained")
    for condition, marker in zip(CONDITIONS, "osv", strict=True):
        chosen = [row for row in rows if row["condition"] == condition]
        ours = [row["results"][OURS][0] for row in chosen]
        best = [min(row["results"][peer][0] for peer in PEERS) for row in chosen]
        ax.loglog(best, ours, marker, alpha=0.6, label=condition)
    limits = ax.get_xlim()
    ax.plot(limits, limits, color="gray")
    ax.set_xlabel("1 - R² of the best of GP, MLP, forest, boosting, kNN, SVR")
    ax.set_ylabel("1 - R² of SirenRegressor()")
    ax.legend(title="below the line it is ahead")
    figure.savefig(path, dpi=110)


def summarise(rows):
    """Print, over the tables, how each regressor stands to ours."""
    print(f"\n{'':<18}{'error / ours, median':>22}{'10%':>9}{'90%':>9}{'ours ahead':>12}", end="")
    print(f"{'seconds, median':>17}{'worst':>8}")
    for key in (OURS, *PEERS):
        ratio = [row["results"][key][0] / row["results"][OURS][0] for row in rows]
        low, median, high = np.quantile(ratio, [0.1, 0.5, 0.9])
        ahead = np.mean(np.array(ratio) > 1)
        seconds = [row["results"][key][1] for row in rows]
        print(
            f"{key:<18}{median:>22.2g}{low:>9.2g}{high:>9.2g}{ahead:>12.0%}"
            f"{np.median(seconds):>17.2f}{max(seconds):>8.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=5)
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS))
    parser.add_argument("--rows", type=int, nargs="+", help="instead of two sizes each")
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    options.figures.mkdir(parents=True, exist_ok=True)
    print(describe_environment())
    print("1 - R² at new points, median over the random states")
    print(f"{'function':<11}{'rows':>5} {'':<10}" + "".join(f"{key:>18}" for key in (OURS, *PEERS)))
    rows = []
    for name in options.functions:
        for n_rows in options.rows or SIZES[n_variables(name)]:
            for condition in CONDITIONS:
                found = [measure(name, n_rows, condition, k) for k in range(options.states)]
                rows += [
                    {"function": name, "rows": n_rows, "condition": condition, "results": results}
                    for results in found
                ]
                medians = {key: np.median([one[key][0] for one in found]) for key in found[0]}
                cells = "".join(f"{medians[key]:>18.1e}" for key in (OURS, *PEERS))
                print(f"{name:<11}{n_rows:>5} {condition:<10}{cells}", flush=True)
    for title, chosen in {
        "smooth and oscillating": [row for row in rows if row["function"] not in ROUGH],
        "peaks, kinks and steps": [row for row in rows if row["function"] in ROUGH],
    }.items():
        if chosen:
            print(f"\n{title}:", end="")
            summarise(chosen)
    write_json(options.json, rows)
    draw(rows, options.figures / "tables.png")


if __name__ == "__main__":
    main()
