"""Draw the 95% bands of an ensemble and of a Gaussian process, with a gap and beyond the rows.

Two functions with noise: one that a Gaussian process with one length scale suits, and a chirp,
which it does not. Writes error_bars.png to the folder `figures`.
"""

# %%
import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Draw error bars beside those of a GP.")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% Rows with a gap
FUNCTIONS = {
    "a wave": lambda x: np.sin(x) + 0.1 * x,
    "a chirp": lambda x: np.sin(0.3 * (x + 2) ** 2),
}
NOISE = 0.2
random = np.random.default_rng(0)
position = random.uniform(0, 8, 120)
position[position > 4] += 2
X = position[:, None]
new = np.linspace(-2, 12, 1000)[:, None]
among_rows = (new > 0) & ((new < 4) | (new > 6)) & (new < 10)


# %% Both regressors on both functions
def models():
    kernel = ConstantKernel() * RBF() + WhiteKernel()
    gaussian_process = GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=5, random_state=0
    )
    return {
        "ensemble of 8 SIRENs": SirenRegressor(n_estimators=8, random_state=0),
        "Gaussian process": make_pipeline(StandardScaler(), gaussian_process),
    }


figure, axes = plt.subplots(2, 2, figsize=(11, 6), sharex=True, layout="constrained")
for row, (name, function) in zip(axes, FUNCTIONS.items(), strict=True):
    y = function(position) + random.normal(0, NOISE, len(position))
    for ax, (title, model) in zip(row, models().items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        mean, std = model.predict(new, return_std=True)
        values = function(new[:, 0]) + random.normal(0, NOISE, len(new))
        inside = np.abs(values - mean) < 1.96 * std
        print(
            f"{name}, {title}: the band holds {inside[among_rows[:, 0]].mean():.0%} of new values "
            f"among the rows, {inside[~among_rows[:, 0]].mean():.0%} in the gap and beyond"
        )
        ax.fill_between(new[:, 0], mean - 1.96 * std, mean + 1.96 * std, alpha=0.25, linewidth=0)
        ax.plot(new[:, 0], mean)
        ax.plot(new[:, 0], function(new[:, 0]), "--", color="gray", linewidth=1)
        ax.plot(position, y, ".", color="black", markersize=3)
        ax.set_ylim(-3.5, 3.5)
        ax.set_title(f"{name}: {title}")
figure.savefig(options.figures / "error_bars.png", dpi=70)
print(f"figures in {options.figures.resolve()}")
