"""Enlarge a photograph four times, and compare with bicubic and Lanczos interpolation.

The photograph is reduced by averaging areas first, so that the truth is known. Writes enlarge.png
to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from pictures import check_size, open_picture
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from skinr import ImageRegressor, SirenRegressor

parser = argparse.ArgumentParser(description="Enlarge a photograph.")
parser.add_argument("--image", type=Path, help="a picture; scikit-learn's flower.jpg by default")
parser.add_argument("--size", type=at_least(1), default=384, help="longer side, in pixels")
parser.add_argument("--scale", type=at_least(1), default=4)
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% A photograph, and what is left of it
photograph = open_picture(parser, options.image, "flower.jpg").convert("RGB")
photograph.thumbnail((options.size, options.size), Image.Resampling.LANCZOS)
check_size(parser, photograph, 8 * options.scale)
width, height = (side - side % options.scale for side in photograph.size)
truth = photograph.crop((0, 0, width, height))
small = truth.reduce(options.scale)

# %% Larger again
siren = SirenRegressor(max_iter=options.max_iter, random_state=options.random_state, verbose=True)
enlarged = {
    "bicubic": small.resize(truth.size, Image.Resampling.BICUBIC),
    "Lanczos": small.resize(truth.size, Image.Resampling.LANCZOS),
    "SIREN": ImageRegressor(siren).fit(small).predict(scale=options.scale),
}
print(f"{small.width} x {small.height} pixels, {options.scale} times: PSNR in dB, and SSIM")
titles = {}
for name, picture in enlarged.items():
    decibels = peak_signal_noise_ratio(np.asarray(truth), np.asarray(picture))
    similarity = structural_similarity(np.asarray(truth), np.asarray(picture), channel_axis=2)
    titles[name] = f"{name}, {decibels:.2f} dB, SSIM {similarity:.3f}"
    print(titles[name])

# %% A detail
box = (width // 3, height // 4, 2 * width // 3, 3 * height // 4)
figure, axes = plt.subplots(1, 4, figsize=(16, 5), layout="constrained")
for ax, (name, picture) in zip(axes, {"photograph": truth, **enlarged}.items(), strict=True):
    ax.imshow(picture.crop(box))
    ax.set_title(titles.get(name, name))
    ax.set_axis_off()
figure.savefig(options.figures / "enlarge.png", dpi=100)
print(f"figures in {options.figures.resolve()}")
