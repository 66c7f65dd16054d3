"""Find a photograph again from its gradients alone, and from its Laplacian alone.

This is the Poisson reconstruction of the SIREN paper (Sitzmann et al., 2020, section 4.2), with two
photographs blended by their gradients besides. Writes poisson_image.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from PIL import Image
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline
from sklearn.datasets import load_sample_image

from skinr import SirenRegressor

parser = argparse.ArgumentParser(description="Reconstruct a photograph from its derivatives.")
parser.add_argument("--photograph", choices=["flower", "china"], default="flower")
parser.add_argument("--size", type=at_least(4), default=256, help="pixels along a side")
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

PAPER = {"gradient": 32.91, "Laplacian": 14.95}
"""PSNR in dB that the paper's supplement has for SIREN, on a photograph of its own."""


# %% A photograph with its derivatives: slopes of a cubic spline, and differences between pixels
def grey_square(name):
    photograph = Image.fromarray(load_sample_image(f"{name}.jpg")).convert("L")
    side = min(photograph.size)
    left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
    box = (left, top, left + side, top + side)
    size = (options.size, options.size)
    return np.asarray(photograph.resize(size, Image.Resampling.LANCZOS, box=box)) / 255


def gradient_of(image):
    rows, columns = (np.arange(size) for size in image.shape)
    spline = RectBivariateSpline(rows, columns, image)
    return np.stack([spline(rows, columns, dx=1), spline(rows, columns, dy=1)], axis=-1)


image = grey_square(options.photograph)
positions = np.argwhere(np.ones(image.shape))
model = SirenRegressor(max_iter=options.max_iter, random_state=options.random_state, verbose=True)


# %% From each of them alone; what stays open is a constant
def reconstruct(**derivatives):
    start = perf_counter()
    model.fit(positions, **derivatives)
    return model.predict(positions).reshape(image.shape), perf_counter() - start


def psnr(reconstruction):
    return -10 * np.log10(np.mean((reconstruction.clip(0, 1) - image) ** 2))


reconstructions = {}
for name, derivatives in {
    "gradient": {"gradient": gradient_of(image).reshape(-1, 2)},
    "Laplacian": {"laplacian": ndimage.laplace(image).ravel()},
}.items():
    reconstruction, seconds = reconstruct(**derivatives)
    reconstruction += image.mean()
    reconstructions[f"from its {name}, {psnr(reconstruction):.1f} dB"] = reconstruction
    print(
        f"{options.photograph} from its {name}: {psnr(reconstruction):.2f} dB in {seconds:.0f} s; "
        f"the paper, from another photograph: {PAPER[name]} dB"
    )

# %% Two photographs blended: at each pixel the stronger of both gradients
other = grey_square("china" if options.photograph == "flower" else "flower")
first, second = gradient_of(image), gradient_of(other)
stronger = (first**2).sum(axis=-1, keepdims=True) > (second**2).sum(axis=-1, keepdims=True)
blended, seconds = reconstruct(gradient=np.where(stronger, first, second).reshape(-1, 2))
blended += (image.mean() + other.mean()) / 2
print(f"both photographs blended by their gradients in {seconds:.0f} s")

# %% All of them
pictures = {
    "photograph": image,
    **reconstructions,
    "another": other,
    "both, by the stronger gradient": blended,
}
figure, axes = plt.subplots(1, 5, figsize=(18, 4), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig(options.figures / "poisson_image.png", dpi=100)
print(f"figures in {options.figures.resolve()}")
