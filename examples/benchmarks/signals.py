"""Signals that oscillate as fast as their samples can show.

A tone, three tones, and tones that change in amplitude and in frequency, at even and at random
positions, exact and with 10% noise; of 20 to 5 samples a period of the (highest) tone. The error is
1 - R² against the noiseless truth at 2000 new positions. Beside SirenRegressor() stand a cubic
spline through the samples, a Gaussian process with RBF and noise of up to 500 of them, and the mean
of two neighbours weighted by distance.
"""

import argparse
import warnings
from itertools import product

import numpy as np
from common import LEARNED, describe_environment, write_json
from scipy.interpolate import CubicSpline
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.neighbors import KNeighborsRegressor

from skinr import SirenRegressor

SIGNALS = {
    "tone": lambda x, w: np.sin(w * x + 0.3),
    "three tones": lambda x, w: (
        np.sin(w * x) + 0.6 * np.sin(0.61 * w * x + 1) + 0.4 * np.sin(0.27 * w * x + 2)
    ),
    "amplitude": lambda x, w: (1 + 0.8 * np.sin(5 * x)) * np.sin(w * x),
    "frequency": lambda x, w: np.sin(w * x + 0.15 * w * np.cos(3 * x)),
}
MOST_ROWS_OF_GP = 500


class Spline:
    """scipy's, with scikit-learn's methods."""

    def fit(self, X, y):
        """Fit it to rows of one variable, in ascending order."""
        self.spline_ = CubicSpline(X[:, 0], y)
        return self

    def predict(self, X):
        """Evaluate it."""
        return self.spline_(X[:, 0])


def models(n_rows, random_state):
    """Return the regressors by name."""
    kernel = ConstantKernel() * RBF(0.05, (1e-3, 1e2)) + WhiteKernel(1e-2, (1e-12, 1e1))
    process = GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=5, random_state=random_state
    )
    return {
        "SirenRegressor()": SirenRegressor(random_state=random_state),
        "spline": Spline(),
        **({"GP": process} if n_rows <= MOST_ROWS_OF_GP else {}),
        "neighbours": KNeighborsRegressor(2, weights="distance"),
    }


def errors(signal, n_rows, rows_a_period, noise, random_state, *, even):
    """Return 1 - R² of each regressor."""
    draw = np.random.default_rng(random_state)
    x = np.linspace(-1, 1, n_rows) if even else np.sort(draw.uniform(-1, 1, n_rows))
    new = draw.uniform(x[0], x[-1], 2000)
    frequency = np.pi * n_rows / rows_a_period
    y, truth = (SIGNALS[signal](position, frequency) for position in (x, new))
    y += noise * y.std() * draw.standard_normal(n_rows)
    found = {}
    for name, model in models(n_rows, random_state).items():
        predicted = model.fit(x[:, None], y).predict(new[:, None])
        found[name] = float(np.mean((predicted - truth) ** 2) / truth.var())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 16000])
    parser.add_argument("--rows-a-period", type=float, nargs="+", default=[20, 10, 7, 5])
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(describe_environment())
    print(f"\n{'':<41}1 - R²: median, and how many are below {LEARNED}")
    results = []
    for n_rows, even, noise in product(options.rows, (True, False), (0.0, 0.1)):
        for rows_a_period in options.rows_a_period:
            cases = [
                errors(signal, n_rows, rows_a_period, noise, state, even=even)
                for signal in SIGNALS
                for state in range(options.states)
            ]
            label = f"{'even' if even else 'random'}, {'10% noise' if noise else 'exact'}"
            print(f"{n_rows:>6} rows, {rows_a_period:>3g} a period, {label:<18}", end="")
            for name in cases[0]:
                of_name = np.array([case[name] for case in cases])
                n_learned = int((of_name < LEARNED).sum())
                print(f"{name:>18} {np.median(of_name):.1e} {n_learned:>2}/{len(cases)}", end="")
            print(flush=True)
            results.append([n_rows, rows_a_period, label, cases])
    write_json(options.json, results)


if __name__ == "__main__":
    main()
