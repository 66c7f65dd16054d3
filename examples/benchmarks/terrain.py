"""Large tables: rows of a terrain with noise, error against time beside other regressors.

A terrain is a sum of waves of 1 to 64 cycles along each side with random phases, their power
falling as a power of the frequency: spectral synthesis of fractional Brownian motion with Hurst
exponent H, smooth (0.9) and rough (0.5). "ripples" and "Franke" are smooth functions. The error is
1 - R² against the noiseless truth at 20,000 new points, the time that of fit and predict. Writes
terrain.png to the folder of `--figures`.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from common import describe_environment, write_json
from functions import FUNCTIONS
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsRegressor

from skinr import SirenRegressor

OURS = "SirenRegressor()"
GRID, MOST_CYCLES, N_NEW = 1024, 64, 20_000
SURFACES = {"smooth terrain": 0.9, "rough terrain": 0.5, "ripples": None, "Franke": None}


class LocalRBF(RegressorMixin, BaseEstimator):
    """Thin plates over the nearest 50 rows; their smoothing was chosen on these surfaces."""

    def __init__(self, smoothing=15.0):
        self.smoothing = smoothing

    def fit(self, X, y):
        """Build the tree of rows."""
        smoothing = self.smoothing / len(X)
        self.interpolator_ = RBFInterpolator(X, y, neighbors=50, smoothing=smoothing)
        return self

    def predict(self, X):
        """Solve for the plate around each position."""
        return self.interpolator_(X)


PEERS = {
    "kNN": lambda state: KNeighborsRegressor(10, weights="distance"),
    "boosting": lambda state: HistGradientBoostingRegressor(
        max_iter=1000, max_leaf_nodes=63, early_stopping=False, random_state=state
    ),
    "local RBF": lambda state: LocalRBF(),
}


def terrain(hurst, draw):
    """Return a function of positions in [-1, 1]²."""
    cycles = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(GRID, 1 / GRID)], indexing="ij"))
    amplitude = np.zeros_like(cycles)
    band = (cycles >= 1) & (cycles <= MOST_CYCLES)
    amplitude[band] = cycles[band] ** -(hurst + 1)
    heights = np.fft.ifft2(amplitude * np.fft.fft2(draw.normal(size=cycles.shape))).real

    def function(x, y):
        grid_positions = (np.stack([x, y]) + 1) / 2 * GRID
        return map_coordinates(heights, grid_positions, order=3, mode="grid-wrap")

    return function


def nodes(n_rows):
    """Return the nodes of the largest square grid of up to so many."""
    ticks = np.linspace(-1, 1, int(n_rows**0.5))
    return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)


def table(surface, n_rows, noise, random_state, *, grid):
    """Return rows, and new points with the truth."""
    draw = np.random.default_rng(random_state)
    hurst = SURFACES[surface]
    function = FUNCTIONS[surface] if hurst is None else terrain(hurst, draw)
    X, new = draw.uniform(-1, 1, (n_rows, 2)), draw.uniform(-1, 1, (N_NEW, 2))
    X = nodes(n_rows) if grid else X
    y = function(*X.T)
    return X, y + draw.normal(0, noise * y.std(), len(y)), new, function(*new.T)


def measure(surface, n_rows, noise, random_state, *, grid=False):
    """Return error and seconds of every regressor, fitted in random order."""
    X, y, new, truth = table(surface, n_rows, noise, random_state, grid=grid)
    peers = {name: make(random_state) for name, make in PEERS.items()}
    models = {OURS: SirenRegressor(random_state=random_state), **peers}
    results = {}
    for name in np.random.default_rng(random_state).permutation(list(models)).tolist():
        start = perf_counter()
        error = 1 - models[name].fit(X, y).score(new, truth)
        results[name] = (float(error), perf_counter() - start)
    return results


def draw_figure(rows, path):
    """Draw the errors of all regressors against their times, a panel for each surface."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SURFACES), figsize=(13, 3.6), layout="constrained")
    for ax, surface in zip(axes, SURFACES, strict=True):
        for name in (OURS, *PEERS):
            points = [row["results"][name] for row in rows if row["surface"] == surface]
            errors, seconds = zip(*points, strict=True)
            ax.loglog(seconds, errors, "o", alpha=0.7, label=name)
        ax.set(title=surface, xlabel="seconds")
    axes[0].set_ylabel("1 - R²")
    axes[0].legend()
    path.mkdir(parents=True, exist_ok=True)
    figure.savefig(path / "terrain.png", dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[5e4, 1e6])
    parser.add_argument("--noise", type=float, default=0.1, help="in standard deviations of y")
    parser.add_argument("--grid", action="store_true", help="on a square grid, not scattered")
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--figures", type=Path, help="folder for a picture")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print("\n1 - R² at new points, and seconds; medians over the random states")
    print(f"{'surface':<16}{'rows':>9}" + "".join(f"{name:>24}" for name in (OURS, *PEERS)))
    rows = []
    for n_rows in map(int, options.rows):
        for surface in SURFACES:
            found = [
                measure(surface, n_rows, options.noise, k, grid=options.grid)
                for k in range(options.states)
            ]
            rows += [{"surface": surface, "rows": n_rows, "results": one} for one in found]
            medians = {
                name: np.median([one[name] for one in found], axis=0) for name in (OURS, *PEERS)
            }
            cells = "".join(f"{e:>14.1e}{s:>8.1f} s" for e, s in medians.values())
            print(f"{surface:<16}{n_rows:>9}{cells}", flush=True)
    write_json(options.json, rows)
    if options.figures:
        draw_figure(rows, options.figures)


if __name__ == "__main__":
    main()
