"""Fill a photograph in where pixels are missing: half of them, and under a text.

Compared with cubic interpolation between the pixels that are left. Writes inpaint.png to the
folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from pictures import check_size, open_picture
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import griddata

from skinr import ImageRegressor, SirenRegressor

parser = argparse.ArgumentParser(description="Fill in missing pixels.")
parser.add_argument("--image", type=Path, help="a picture; scikit-learn's china.jpg by default")
parser.add_argument("--size", type=at_least(1), default=256, help="longer side, in pixels")
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% A photograph, and two masks: True where a pixel is known
photograph = open_picture(parser, options.image, "china.jpg").convert("RGB")
photograph.thumbnail((options.size, options.size), Image.Resampling.LANCZOS)
check_size(parser, photograph, 8)
image = np.asarray(photograph)


def text_mask():
    """Return False where a text covers the photograph."""
    drawing = Image.new("1", photograph.size, 1)
    font = ImageFont.load_default(photograph.height // 8)
    text = "\n".join(["Pixels are missing", "where this text is"] * 3)
    ImageDraw.Draw(drawing).multiline_text((4, 4), text, fill=0, font=font)
    return np.asarray(drawing)


half = np.random.default_rng(options.random_state).random(image.shape[:2]) < 0.5
masks = {"half of the pixels": half, "under a text": text_mask()}


# %% Both, filled in
def cubic(mask):
    """Interpolate between the known pixels; beyond all of them, take the nearest."""
    known, missing = np.argwhere(mask), np.argwhere(~mask)
    filled = image / 255
    values = griddata(known, filled[mask], missing, method="cubic")
    outside = np.isnan(values).any(axis=1)
    values[outside] = griddata(known, filled[mask], missing[outside], method="nearest")
    filled[~mask] = values.clip(0, 1)
    return filled


def psnr(filled, mask):
    return -10 * np.log10(np.mean((filled - image / 255)[~mask] ** 2))


siren = SirenRegressor(max_iter=options.max_iter, random_state=options.random_state, verbose=True)
figure, axes = plt.subplots(2, 4, figsize=(18, 7), layout="constrained")
for row, (name, mask) in zip(axes, masks.items(), strict=True):
    model = ImageRegressor(siren).fit(photograph, mask=mask)
    filled = np.where(mask[..., None], image / 255, model.predict(dtype=float).clip(0, 1))
    interpolated = cubic(mask)
    print(
        f"{name}, PSNR where they are missing: SIREN {psnr(filled, mask):.2f} dB, "
        f"cubic {psnr(interpolated, mask):.2f} dB"
    )
    pictures = {
        name: np.where(mask[..., None], image, 255),
        f"cubic, {psnr(interpolated, mask):.1f} dB": interpolated,
        f"SIREN, {psnr(filled, mask):.1f} dB": filled,
        "photograph": image,
    }
    for ax, (title, picture) in zip(row, pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title)
        ax.set_axis_off()
figure.savefig(options.figures / "inpaint.png", dpi=80)
print(f"figures in {options.figures.resolve()}")
