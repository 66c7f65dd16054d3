"""Fit a volume of which every other slice is missing, and look at it between the slices.

A phantom as in tomography, of ellipsoids with soft edges. Compared with linear and cubic
interpolation between the slices. Writes volume.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from scipy.interpolate import make_interp_spline

from skinr import ImageRegressor, SirenRegressor

parser = argparse.ArgumentParser(description="Fit a volume.")
parser.add_argument(
    "--size", type=at_least(12), default=40, help="pixels of a slice along each axis"
)
parser.add_argument("--max-iter", type=at_least(1), default=600, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% A volume, (slice, row, column)
ELLIPSOIDS = [
    # centre, radii, value
    ((0.0, 0.0, 0.0), (0.9, 0.85, 0.7), 0.5),
    ((0.0, 0.0, 0.0), (0.82, 0.76, 0.62), -0.25),
    ((0.1, 0.3, 0.2), (0.3, 0.2, 0.15), 0.3),
    ((-0.2, -0.3, 0.2), (0.4, 0.2, 0.25), 0.2),
    ((0.3, -0.1, -0.3), (0.3, 0.35, 0.12), 0.35),
]


def phantom(shape):
    axes = [(2 * np.arange(size) + 1) / size - 1 for size in shape]
    positions = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return sum(
        value / (1 + np.exp(25 * (np.linalg.norm((positions - centre) / radii, axis=-1) - 1)))
        for centre, radii, value in ELLIPSOIDS
    )


n_slices = options.size // 4 * 2 + 1
volume = (255 * phantom((n_slices, options.size, options.size))).round().astype(np.uint8)

# %% The slices between, from those that are known: an image of three axes
known = np.zeros(volume.shape, bool)
known[::2] = True
siren = SirenRegressor(max_iter=options.max_iter, random_state=options.random_state, verbose=True)
model = ImageRegressor(siren, channel_axis=None).fit(volume, mask=known)
slices = np.arange(n_slices)
predictions = {
    name: make_interp_spline(slices[::2], volume[::2], degree)(slices).clip(0, 255)
    for name, degree in {"linear": 1, "cubic": 3}.items()
}
predictions["SIREN"] = model.predict()
print(f"{n_slices} slices of {options.size} x {options.size}; PSNR of the missing ones in dB")
for name, predicted in predictions.items():
    error = np.subtract(predicted, volume, dtype=float)[1::2]
    print(f"{name:<8}{20 * np.log10(255) - 10 * np.log10(np.mean(error**2)):.2f}")

# %% A missing slice, and a cut across all slices, four times as fine
missing = n_slices // 4 * 2 + 1
middle = options.size // 2
across = model.predict(
    scale=(8, 1, 4), region=((0, n_slices), (middle, middle + 1), (0, options.size))
)
pictures = {
    "a missing slice": volume[missing],
    **{name: predicted[missing] for name, predicted in predictions.items()},
    "known slices, across": np.repeat(volume[::2, middle], 2, axis=0),
    "SIREN, across, finer": across[:, 0],
}
figure, axes = plt.subplots(1, 6, figsize=(20, 4.2), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig(options.figures / "volume.png", dpi=80)
print(f"figures in {options.figures.resolve()}")
