"""Tables of many columns: `SirenRegressor()` beside the regressors that people take for them.

scikit-learn's diabetes data, and the three problems of Friedman (1991) as it draws them, with his
noise. The first of them has 5 columns of no effect. R² of rows that are held out, in five folds,
anew for every random state; regressors take turns in random order.
"""

import argparse

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skinr import SirenRegressor

N_ROWS = 400
TABLES = {
    "diabetes": lambda state: load_diabetes(return_X_y=True),
    "Friedman 1": lambda state: make_friedman1(N_ROWS, noise=1.0, random_state=state),
    "Friedman 2": lambda state: make_friedman2(N_ROWS, noise=125.0, random_state=state),
    "Friedman 3": lambda state: make_friedman3(N_ROWS, noise=0.1, random_state=state),
}
OURS = "SirenRegressor()"


def gaussian_process(lengths, random_state):
    kernel = ConstantKernel() * RBF(lengths) + WhiteKernel()
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=random_state)


def regressors(n_features, random_state):
    peers = {
        "ridge": RidgeCV(np.logspace(-3, 3, 13)),
        "forest": RandomForestRegressor(300, random_state=random_state),
        "boosting": HistGradientBoostingRegressor(random_state=random_state),
        "kNN": KNeighborsRegressor(10, weights="distance"),
        "SVR": SVR(),
        "MLP": MLPRegressor(max_iter=1000, early_stopping=True, random_state=random_state),
        "GP": gaussian_process(1.0, random_state),
        "GP, ARD": gaussian_process(np.ones(n_features), random_state),
    }
    return {
        OURS: SirenRegressor(random_state=random_state),
        **{name: make_pipeline(StandardScaler(), peer) for name, peer in peers.items()},
    }


def measure(name, n_folds, random_state):
    """Return R² and seconds of every regressor, of shape (n_folds, 2)."""
    X, y = TABLES[name](random_state)
    y = (y - y.mean()) / y.std()
    draw = np.random.default_rng(random_state)
    results = {}
    for fitted, held_out in KFold(n_folds, shuffle=True, random_state=random_state).split(X):
        models = regressors(X.shape[1], random_state)
        for key in draw.permutation(list(models)).tolist():
            seconds = seconds_to_fit(models[key], X[fitted], y[fitted])
            score = models[key].score(X[held_out], y[held_out])
            results.setdefault(key, []).append((score, seconds))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'table':<11} {'':<18}{'R², mean':>9}{'worst':>8}{'seconds, median':>17}")
    rows = {}
    for name in options.tables:
        rows[name] = [measure(name, options.folds, state) for state in range(options.states)]
        for key in rows[name][0]:
            folds = np.concatenate([results[key] for results in rows[name]])
            mean, worst, seconds = folds[:, 0].mean(), folds[:, 0].min(), np.median(folds[:, 1])
            print(f"{name:<11} {key:<18}{mean:>9.3f}{worst:>8.3f}{seconds:>17.2f}", flush=True)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
