"""Outliers in small tables: `loss="huber"` beside the robust regressors of scikit-learn.

The functions of tables.py with 5% noise, a tenth of the rows off by some multiples of the spread.
The error is 1 - R² against the noiseless truth at 2000 new points. `SirenRegressor()` is fitted to
the rows before they were disturbed as well, which is as good as it can get.
"""

import argparse

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from functions import FLOOR, FUNCTIONS, n_variables, table
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skinr import SirenRegressor

SHARE, NOISE = 0.1, 0.05
SIZES = {1: 300, 2: 500, 3: 500}
UNDISTURBED, OURS = "undisturbed", 'loss="huber"'


def regressors(random_state):
    kernel = ConstantKernel() * RBF() + WhiteKernel()
    peers = {
        "boosting, huber": GradientBoostingRegressor(loss="huber", random_state=random_state),
        "boosting, absolute": HistGradientBoostingRegressor(
            loss="absolute_error", random_state=random_state
        ),
        "SVR": SVR(C=100.0, epsilon=0.01),
        "GP": GaussianProcessRegressor(kernel, normalize_y=True, random_state=random_state),
    }
    return {
        OURS: SirenRegressor(loss="huber", random_state=random_state),
        "SirenRegressor()": SirenRegressor(random_state=random_state),
        **{name: make_pipeline(StandardScaler(), peer) for name, peer in peers.items()},
    }


def measure(name, size, random_state):
    """Return error and seconds of every regressor."""
    n_rows = SIZES[n_variables(name)]
    X, y, new, truth = table(name, n_rows, NOISE, random_state)
    draw = np.random.default_rng([random_state, 1])
    is_wrong = draw.uniform(size=n_rows) < SHARE
    wrong = y + np.where(is_wrong, draw.choice([-1, 1], n_rows) * size * y.std(), 0.0)
    fits = {key: (model, wrong) for key, model in regressors(random_state).items()}
    fits[UNDISTURBED] = SirenRegressor(random_state=random_state), y
    results = {}
    for key in draw.permutation(list(fits)).tolist():
        model, values = fits[key]
        seconds = seconds_to_fit(model, X, values)
        results[key] = (max(FLOOR, float(1 - model.score(new, truth))), seconds)
    return results


def main():
    """Measure all tables, and print medians, the worst and how often ours is ahead."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=list(FUNCTIONS))
    parser.add_argument("--sizes", type=float, nargs="+", default=[10.0])
    parser.add_argument("--states", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    print(describe_environment())
    everything = {}
    for size in options.sizes:
        rows = [
            measure(name, size, random_state)
            for name in options.functions
            for random_state in range(options.states)
        ]
        print(f"\n{len(rows)} tables, {SHARE:.0%} of the rows off by {size:g} spreads: 1 - R²")
        for key in [UNDISTURBED, *regressors(0)]:
            errors, seconds = np.array([results[key] for results in rows]).T
            wins = np.mean([results[OURS][0] <= results[key][0] for results in rows])
            print(
                f"{key:20} median {np.median(errors):.1e}, worst {errors.max():.1e}, "
                f"{np.median(seconds):4.1f} s; huber is no worse on {wins:.0%}"
            )
        everything[size] = rows
    write_json(options.json, everything)


if __name__ == "__main__":
    main()
