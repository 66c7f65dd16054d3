"""Fit functions of one and two variables from few rows with slopes, beside the same without.

Simulators often give slopes for little more than values. Writes hermite_table.png to the folder
`figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from scipy.stats import qmc

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Fit tables of values and slopes.")
parser.add_argument("--functions", type=at_least(1), default=5, help="the first so many")
parser.add_argument("--states", type=at_least(1), default=1, help="number of random states")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)


# %% Functions with their slopes
def franke(X):
    x, y = 9 * (X.T + 1) / 2
    bumps = [
        (0.75, (x - 2) / 2, (y - 2) / 2, 1 / 2, 1 / 2),
        (0.5, (x - 7) / 2, (y - 3) / 2, 1 / 2, 1 / 2),
        (-0.2, x - 4, y - 7, 1.0, 1.0),
    ]
    ridge = 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
    values, slopes = ridge, [-2 * (x + 1) / 49 * ridge, -ridge / 10]
    for height, u, v, u_slope, v_slope in bumps:
        bump = height * np.exp(-(u**2) - v**2)
        values = values + bump
        slopes = [slopes[0] - 2 * u * u_slope * bump, slopes[1] - 2 * v * v_slope * bump]
    return values, 4.5 * np.stack(slopes, axis=1)


def one_variable(values, slopes):
    return lambda X: (values(X[:, 0]), slopes(X))


FUNCTIONS = {
    "two sines": one_variable(
        lambda x: np.sin(4 * x) + 0.5 * np.cos(11 * x),
        lambda x: 4 * np.cos(4 * x) - 5.5 * np.sin(11 * x),
    ),
    "bell": one_variable(lambda x: np.exp(-20 * x**2), lambda x: -40 * x * np.exp(-20 * x**2)),
    "pole": one_variable(lambda x: 1 / (1 + 25 * x**2), lambda x: -50 * x / (1 + 25 * x**2) ** 2),
    "cubic": one_variable(lambda x: x**3 - x, lambda x: 3 * x**2 - 1),
    "Franke's": franke,
}


def positions(name, n_rows, seed=0):
    """Return even steps of one variable, or a Sobol sequence in two."""
    if name == "Franke's":
        return 2 * qmc.Sobol(2, seed=seed).random(n_rows) - 1
    return np.linspace(-1, 1, n_rows)[:, None]


def fit(name, n_rows, slopes, noise=0.0, random_state=0):
    """Fit rows with noise, as a share of the standard deviation of the values and of each slope."""
    X = positions(name, n_rows)
    values, gradient = FUNCTIONS[name](X)
    draw = np.random.default_rng(random_state).normal
    values = values + noise * values.std() * draw(size=values.shape)
    gradient = gradient + noise * gradient.std(axis=0) * draw(size=gradient.shape)
    model = SirenRegressor(random_state=random_state)
    return model.fit(X, values, gradient=gradient if slopes else None)


def error(name, n_rows, slopes, noise):
    """Return the median of 1 - R² at new points over the random states."""
    new = positions(name, 2048, seed=1)
    models = (fit(name, n_rows, slopes, noise, state) for state in range(options.states))
    return np.median([1 - model.score(new, FUNCTIONS[name](new)[0]) for model in models])


# %% The same number of rows, and twice as many, without slopes
print(f"1 - R² at new points, median of {options.states} random states")
print(f"{'':<12}{'noise':>6}{'rows':>6}{'with slopes':>13}{'without':>10}{'twice the rows':>16}")
for name in list(FUNCTIONS)[: options.functions]:
    for n_rows in (32, 64) if name == "Franke's" else (8, 12):
        for noise in (0.0, 0.01, 0.1):
            with_slopes = error(name, n_rows, True, noise)
            without, twice = (error(name, n, False, noise) for n in (n_rows, 2 * n_rows))
            verdict = "  half of the rows suffice" if with_slopes <= twice else ""
            print(
                f"{name:<12}{noise:>6.0%}{n_rows:>6}{with_slopes:>13.1e}{without:>10.1e}"
                f"{twice:>16.1e}{verdict}",
                flush=True,
            )

# %% The first of them
X, new = positions("two sines", 10), positions("two sines", 2001)
values, slopes = FUNCTIONS["two sines"](X)
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(new, FUNCTIONS["two sines"](new)[0], color="gray", linewidth=4, alpha=0.4, label="truth")
ax.plot(new, fit("two sines", len(X), False).predict(new), "--", label="10 values")
ax.plot(new, fit("two sines", len(X), True).predict(new), label="10 values with slopes")
step = np.array([-0.04, 0.04])
for x, value, slope in zip(X, values, slopes, strict=True):
    ax.plot(x + step, value + slope * step, color="black", linewidth=2)
ax.plot(X, values, "o", color="black")
ax.legend()
figure.savefig(options.figures / "hermite_table.png", dpi=120)
print(f"figures in {options.figures.resolve()}")
