"""Compress a photograph into the weights of a SIREN, and see how it does against JPEG and WebP.

For networks of several sizes: what the weights take in float32 and float16, and what the smallest
JPEG and WebP files of the same PSNR take. Writes compression.png to the folder `figures`.
"""

# %%
import argparse
import io
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from pictures import open_picture
from PIL import Image
from sklearn.pipeline import make_pipeline

from skinr import ImageRegressor, SirenRegressor

parser = argparse.ArgumentParser(description="Compress a photograph.")
parser.add_argument("--image", type=Path, help="a picture; scikit-learn's china.jpg by default")
parser.add_argument("--size", type=at_least(1), default=256, help="longer side, in pixels")
parser.add_argument("--widths", type=at_least(1), nargs="+", default=[16, 32, 64])
parser.add_argument("--max-iter", type=at_least(1), default=600, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

photograph = open_picture(parser, options.image, "china.jpg").convert("RGB")
image = photograph.copy()
image.thumbnail((options.size, options.size), Image.Resampling.LANCZOS)
n_pixels = image.width * image.height


def psnr(decoded):
    difference = np.subtract(decoded, image, dtype=float)
    return 20 * np.log10(255) - 10 * np.log10(np.mean(difference**2))


# %% JPEG and WebP at every quality
def encode(file_format, quality):
    file = io.BytesIO()
    image.save(file, file_format, quality=quality)
    return len(file.getvalue()), psnr(Image.open(file))


codecs = {name: [encode(name, quality) for quality in range(1, 96, 2)] for name in ("JPEG", "WebP")}


def smallest(codec, decibels):
    """Return the bytes of the smallest file of at least so good a quality, NaN without one."""
    return min((size for size, quality in codecs[codec] if quality >= decibels), default=np.nan)


# %% Networks of several sizes, in float32 and float16
def reload(model, dtype):
    """Return the picture of a network after saving and loading it, and the bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skinr"
        model.regressor_.save(path, dtype=dtype)
        size = path.stat().st_size
        loaded = make_pipeline(model.transformer_, SirenRegressor.load(path))
    values = loaded.predict(model.transformer_.grid())
    return model.transformer_.arrays_to_image(values), size


print(f"{image.width} x {image.height} pixels, 24 bits each; bytes of the weights, bits per pixel")
print(f"{'layers':>10}{'parameters':>12}{'dtype':>9}{'PSNR':>8}{'bytes':>9}{'bits':>7}", end="")
print(f"{'file':>9}{'JPEG':>9}{'bits':>7}{'WebP':>9}{'bits':>7}")
points = {"float32": [], "float16": []}
for width in options.widths:
    siren = SirenRegressor(
        (width,) * 3, max_iter=options.max_iter, random_state=options.random_state, verbose=True
    )
    model = ImageRegressor(siren).fit(image)
    n_parameters = model.regressor_.n_parameters_
    for dtype in points:
        decoded, file_size = reload(model, dtype)
        decibels, n_bytes = psnr(decoded), n_parameters * np.dtype(dtype).itemsize
        points[dtype].append((n_bytes, decibels))
        rivals = [smallest(codec, decibels) for codec in codecs]
        print(f"{f'3 x {width}':>10}{n_parameters:>12}{dtype:>9}{decibels:>8.2f}", end="")
        print(f"{n_bytes:>9}{8 * n_bytes / n_pixels:>7.2f}{file_size:>9}", end="")
        print("".join(f"{size:>9}{8 * size / n_pixels:>7.2f}" for size in rivals))
for codec in codecs:
    ratios = [n_bytes / smallest(codec, decibels) for n_bytes, decibels in points["float16"]]
    print(f"float16 weights over {codec}: {min(ratios):.1f} to {max(ratios):.1f} times the bytes")

# %% Quality over size
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, curve in {**codecs, **{f"SIREN, {dtype}": points[dtype] for dtype in points}}.items():
    size, decibels = np.transpose(sorted(curve))
    ax.plot(8 * size / n_pixels, decibels, marker="o" if "SIREN" in name else "", label=name)
ax.set_xlabel("bits per pixel")
ax.set_ylabel("PSNR in dB")
ax.legend()
figure.savefig(options.figures / "compression.png", dpi=120)
print(f"figures in {options.figures.resolve()}")
