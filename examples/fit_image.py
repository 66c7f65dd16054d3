"""Fit a SIREN to a photograph, and look at what it has learned.

Run it as it is for scikit-learn's photograph of a temple, or give it a picture of yours:
``python examples/fit_image.py --image cat.jpg``. Writes fit_image.png, enlargement.png and
loss_curve.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
from options import at_least
from pictures import open_picture
from PIL import Image

from skinr import ImageRegressor, LossCurveDisplay, ReconstructionDisplay, SirenRegressor

parser = argparse.ArgumentParser(description="Fit a SIREN to a photograph.")
parser.add_argument("--image", type=Path, help="a picture; scikit-learn's china.jpg by default")
parser.add_argument(
    "--size", type=at_least(1), default=320, help="longer side of the fit, in pixels"
)
parser.add_argument("--max-iter", type=at_least(1), default=1500, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% The fit
photograph = open_picture(parser, options.image, "china.jpg").convert("RGB")
image = photograph.copy()
image.thumbnail((options.size, options.size), Image.Resampling.LANCZOS)
siren = SirenRegressor(
    hidden_layer_sizes=(256, 256, 256),
    weight_scale=1.5,
    max_iter=options.max_iter,
    random_state=options.random_state,
    verbose=True,
)
start = perf_counter()
model = ImageRegressor(siren).fit(image)
seconds = perf_counter() - start
fitted, psnr = model.regressor_, model.score(image)
print(
    f"{image.width} x {image.height} pixels, {fitted.n_parameters_} parameters\n"
    f"{fitted.n_iter_} updates in {seconds:.1f} s on {fitted.device_}\n"
    f"PSNR on the training pixels: {psnr:.2f} dB"
)

# %% Photograph, reconstruction and error
display = ReconstructionDisplay.from_estimator(model, image)
display.figure_.savefig(options.figures / "fit_image.png", dpi=120)

# %% A detail, four times as large: the function between the pixels
height, width = max(image.height // 4, 1), max(image.width // 4, 1)
top, left = (image.height - height) // 2, (image.width - width) // 2
detail = model.predict(scale=4, region=((top, top + height), (left, left + width)))
box = (left, top, left + width, top + height)
bicubic = image.resize(detail.size, Image.Resampling.BICUBIC, box=box)
figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
for ax, picture, title in zip(
    axes,
    (image.crop(box), bicubic, detail),
    ("detail", "bicubic, 4 times", "SIREN, 4 times"),
    strict=True,
):
    ax.imshow(picture)
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig(options.figures / "enlargement.png", dpi=120)

# %% The loss over the updates
display = LossCurveDisplay.from_estimator(model)
display.figure_.savefig(options.figures / "loss_curve.png", dpi=120)
print(f"figures in {options.figures.resolve()}")
