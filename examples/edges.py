"""Find the edges of a photograph at any resolution: the gradient of the function fitted to it.

Beside Sobel's filter, on the pixels and on the photograph enlarged. Writes edges.png to the folder
`figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from pictures import check_size, open_picture
from PIL import Image
from scipy import ndimage

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Find edges in a photograph.")
parser.add_argument("--image", type=Path, help="a picture; scikit-learn's china.jpg by default")
parser.add_argument(
    "--size", type=at_least(1), default=256, help="longer side of the fit, in pixels"
)
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="number of updates")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% The photograph as a function of row and column
photograph = open_picture(parser, options.image, "china.jpg").convert("L")
photograph.thumbnail((options.size, options.size), Image.Resampling.LANCZOS)
check_size(parser, photograph, 10)
image = np.asarray(photograph) / 255
model = SirenRegressor(omega_0=20, max_iter=options.max_iter, random_state=0, verbose=True)
model.fit(np.argwhere(np.ones(image.shape)), image.ravel())


def edges(rows, columns):
    """Return the magnitude of the gradient on a grid, in grey levels per pixel."""
    positions = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    gradient = model.gradient(positions.reshape(-1, 2))
    return np.linalg.norm(gradient, axis=1).reshape(len(rows), len(columns))


def sobel(picture):
    return np.hypot(*(ndimage.sobel(picture, axis) / 8 for axis in (0, 1)))


# %% On the pixels, where Sobel's filter can be compared
height, width = image.shape
whole = edges(np.arange(height), np.arange(width))
agreement = np.corrcoef(whole.ravel(), sobel(image).ravel())[0, 1]
print(f"{width} x {height} pixels: correlation with Sobel's filter {agreement:.3f}")

# %% Eight times as fine, a detail
side = min(height, width) // 5
top, left = height // 2, width // 2
fine = edges(
    top + (np.arange(8 * side) + 0.5) / 8 - 0.5, left + (np.arange(8 * side) + 0.5) / 8 - 0.5
)
box = (left, top, left + side, top + side)
bicubic = photograph.resize((8 * side, 8 * side), Image.Resampling.BICUBIC, box=box)
pictures = {
    "photograph": image,
    "SIREN's gradient": whole,
    "Sobel's filter": sobel(image),
    "detail, SIREN's gradient, 8 times": fine,
    "detail, Sobel after bicubic, 8 times": sobel(np.asarray(bicubic) / 255),
}
figure, axes = plt.subplots(1, 5, figsize=(20, 3.4), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture, cmap="gray" if title == "photograph" else "magma")
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig(options.figures / "edges.png", dpi=100)
print(f"figures in {options.figures.resolve()}")
