"""Functions of two and three variables that oscillate nearly as fast as their rows can show.

1 - R² against the noiseless truth at 2000 new points, and the seconds of a fit, of
`SirenRegressor()`, of a network of the highest frequency that it chooses from, and of other
regressors; thin plates without smoothing, which serves them best here. Networks that are to stay
near their initial functions need a high frequency, and oscillate between the rows; one of low
frequency finds the function on its way. The last two functions are fast along one variable alone,
which networks and processes have to find out that take all variables for alike at first.
"""

import argparse

import numpy as np
from common import describe_environment, seconds_to_fit, write_json
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import OURS, PEERS
from terrain import LocalRBF

from skinr import SirenRegressor

N_NEW = 2000
SURFACES = {
    "rings": lambda x, y: np.cos(30 * np.hypot(x, y)),
    "weave": lambda x, y: np.sin(20 * x) * np.cos(25 * y),
    "shells": lambda x, y, z: np.cos(14 * np.sqrt(x**2 + y**2 + z**2)),
    "ridges": lambda x, y: np.sin(60 * x) + y,
    "sheets": lambda x, y, z: np.sin(15 * x) + y * z,
}
CONDITIONS = {"exact": 0.0, "10% noise": 0.1}


def gaussian_process_of_lengths(n_variables, random_state):
    """Return the GP of tables.py with a length scale for each variable."""
    kernel = ConstantKernel() * RBF(np.ones(n_variables)) + WhiteKernel(
        noise_level_bounds=(1e-12, 1e1)
    )
    return PEERS["GP"](random_state).set_params(kernel=kernel)


def regressors(n_variables, random_state):
    """Return the contestants by name."""
    peers = {name: PEERS[name](random_state) for name in ("GP", "boosting", "kNN")}
    peers["GP, ARD"] = gaussian_process_of_lengths(n_variables, random_state)
    return {
        OURS: SirenRegressor(random_state=random_state),
        "omega_0=24": SirenRegressor(omega_0=24.0, random_state=random_state),
        **{name: make_pipeline(StandardScaler(), peer) for name, peer in peers.items()},
        "local RBF": LocalRBF(smoothing=0.0),
    }


def measure(surface, n_rows, noise, random_state):
    """Return error and seconds of every regressor."""
    draw = np.random.default_rng(random_state)
    function = SURFACES[surface]
    n_variables = function.__code__.co_argcount
    X, new = (draw.uniform(-1, 1, (n, n_variables)) for n in (n_rows, N_NEW))
    y = function(*X.T)
    y += draw.normal(0, noise * y.std(), n_rows)
    results = {}
    for name, model in regressors(n_variables, random_state).items():
        seconds = seconds_to_fit(model, X, y)
        results[name] = (float(1 - model.score(new, function(*new.T))), seconds)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--surfaces", nargs="+", choices=SURFACES, default=list(SURFACES))
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    names = list(regressors(1, 0))
    print("1 - R² at new points, the worst in brackets, and seconds; medians over random states")
    print(f"{'function':<9}{'rows':>5} {'':<10}" + "".join(f"{name:>28}" for name in names))
    rows = []
    for surface in options.surfaces:
        for n_rows in options.rows:
            for condition, noise in CONDITIONS.items():
                found = [measure(surface, n_rows, noise, k) for k in range(options.states)]
                rows += [
                    {"surface": surface, "rows": n_rows, "condition": condition, "results": one}
                    for one in found
                ]
                cells = ""
                for name in names:
                    errors, seconds = zip(*(one[name] for one in found), strict=True)
                    cells += f"{np.median(errors):>11.1e} ({max(errors):.1e})"
                    cells += f"{np.median(seconds):>5.1f} s"
                print(f"{surface:<9}{n_rows:>5} {condition:<10}{cells}", flush=True)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
