"""Find the signed distance to a curve from points with normals on it.

On the curve the values are 0 and the gradients are the normals; around it the gradients have length
1 and no known direction. So the fit goes in rounds: each takes the directions that the last one
found (an eikonal equation, as in section 4.3 of the SIREN paper, Sitzmann et al., 2020). Writes
signed_distance.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from scipy.spatial import cKDTree

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Fit a signed distance to oriented points.")
parser.add_argument("--points", type=at_least(1), default=200, help="points on the curve")
parser.add_argument("--rounds", type=at_least(1), default=10)
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(options.random_state)
SIDE = 1.5


# %% A flower: points, normals, and what the truth is
def flower(angle):
    """Return points and outward normals."""
    radius, slope = 1 + 0.3 * np.cos(5 * angle), -1.5 * np.sin(5 * angle)
    radial = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    tangential = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    normals = radius[:, None] * radial - slope[:, None] * tangential
    return radius[:, None] * radial, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def true_distance(positions):
    curve, normals = flower(np.linspace(0, 2 * np.pi, 20_000))
    distance, nearest = cKDTree(curve).query(positions)
    outside = ((positions - curve[nearest]) * normals[nearest]).sum(axis=1) > 0
    return np.where(outside, distance, -distance)


points, normals = flower(2 * np.pi * np.arange(options.points) / options.points)

# %% Around the curve: a frame that is known to be outside, and positions of which nothing is known
steps = np.linspace(-SIDE, SIDE, 25)
ends = np.full_like(steps, SIDE)
frame = np.concatenate(
    [
        np.column_stack(sides)
        for sides in [(steps, ends), (steps, -ends), (ends, steps), (-ends, steps)]
    ]
)
around = np.concatenate([frame, random.uniform(-SIDE, SIDE, (1000, 2))])
X = np.concatenate([points, around])
values = np.full(len(X), np.nan)
values[: len(points)] = 0
values[len(points) : len(points) + len(frame)] = cKDTree(points).query(frame)[0]

# %% Rounds: the gradient of the last one, made to have length 1, is what the next one is fitted to
model = SirenRegressor(
    hidden_layer_sizes=(64, 64, 64),
    omega_0=4,
    max_iter=200,
    warm_start=True,
    random_state=options.random_state,
)
directions = np.full_like(around, np.nan)
new = random.uniform(-SIDE, SIDE, (5000, 2))
for index in range(1, options.rounds + 1):
    model.fit(X, values, gradient=np.concatenate([normals, directions]))
    gradient = model.gradient(around)
    lengths = np.linalg.norm(gradient, axis=1, keepdims=True)
    directions = gradient / lengths
    error = np.sqrt(np.mean((model.predict(new) - true_distance(new)) ** 2))
    low, high = np.quantile(lengths, [0.1, 0.9])
    print(f"round {index}: error {error:.4f}, |gradient| {low:.2f} to {high:.2f} (10% to 90%)")

# %% Contours beside the truth
ticks = np.linspace(-SIDE, SIDE, 300)
grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)
levels = np.linspace(-0.9, 0.9, 19)
figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for ax, title, function in [
    (axes[0], f"SIREN from {options.points} oriented points", model.predict),
    (axes[1], "truth", true_distance),
]:
    distance = function(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    drawn = ax.contourf(ticks, ticks, distance, levels, cmap="RdBu", extend="both")
    ax.contour(ticks, ticks, distance, [0], colors="black")
    ax.set_title(title)
    ax.set_aspect("equal")
axes[0].plot(*points.T, ".", color="black", markersize=3)
figure.colorbar(drawn, ax=axes, label="signed distance")
figure.savefig(options.figures / "signed_distance.png", dpi=100)
print(f"figures in {options.figures.resolve()}")
