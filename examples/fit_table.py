"""Fit functions of one and of two variables from small tables, and compare with the truth.

The frequency and the share of noise are chosen by what the rows say. Writes fit_table.png to the
folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Fit functions of one and of two variables.")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)


# %% One variable: a chirp, 300 rows, in the units of an instrument
def chirp(milliseconds):
    return 5 + 2 * np.sin(40 * (milliseconds / 1000) ** 2)


table = pd.DataFrame({"milliseconds": np.sort(random.uniform(0, 1000, 300))})
table["volts"] = chirp(table["milliseconds"]) + random.normal(0, 0.05, 300)
one = SirenRegressor(random_state=0)
one.fit(table[["milliseconds"]], table["volts"])
time = pd.DataFrame({"milliseconds": np.linspace(0, 1000, 2000)})
print(f"chirp: R² {one.score(time, chirp(time['milliseconds'])):.5f} against the truth")


# %% Two variables: Franke's function, 500 rows
def franke(x, y):
    return (
        0.75 * np.exp(-((9 * x - 2) ** 2 + (9 * y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((9 * x + 1) ** 2) / 49 - (9 * y + 1) / 10)
        + 0.5 * np.exp(-((9 * x - 7) ** 2 + (9 * y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((9 * x - 4) ** 2) - (9 * y - 7) ** 2)
    )


X = random.uniform(0, 1, (500, 2))
two = SirenRegressor(random_state=0)
two.fit(X, franke(*X.T))
grid = np.stack(np.meshgrid(np.linspace(0, 1, 200), np.linspace(0, 1, 200)), axis=-1)
fitted = two.predict(grid.reshape(-1, 2)).reshape(200, 200)
truth = franke(grid[..., 0], grid[..., 1])
print(f"Franke's function: R² {two.score(grid.reshape(-1, 2), truth.ravel()):.5f}")

# %% Both, against the truth
figure, axes = plt.subplots(1, 3, figsize=(16, 4.4), layout="constrained")
axes[0].plot(table["milliseconds"], table["volts"], ".", color="gray", label="rows")
axes[0].plot(time["milliseconds"], chirp(time["milliseconds"]), label="truth", linewidth=3)
axes[0].plot(time["milliseconds"], one.predict(time), label="SIREN")
axes[0].set_xlabel("milliseconds")
axes[0].set_ylabel("volts")
axes[0].legend()
extent = (0, 1, 0, 1)
drawn = axes[1].imshow(fitted, origin="lower", extent=extent)
axes[1].plot(*X.T, ".", color="white", markersize=2)
axes[1].set_title("SIREN from 500 rows of Franke's function")
figure.colorbar(drawn, ax=axes[1])
drawn = axes[2].imshow(np.abs(fitted - truth), origin="lower", extent=extent, cmap="magma")
axes[2].set_title("absolute error")
figure.colorbar(drawn, ax=axes[2])
figure.savefig(options.figures / "fit_table.png", dpi=120)
print(f"figures in {options.figures.resolve()}")
