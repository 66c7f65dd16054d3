"""Choose omega_0 by cross-validation over held-out pixels, and draw the validation curve.

A high frequency fits the training pixels ever better, and oscillates between them; pixels that
were held out show where that begins. Writes grid_search_omega.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skinr import ImageCoordinateTransformer, SirenRegressor

parser = argparse.ArgumentParser(description="Choose omega_0 by cross-validation.")
parser.add_argument("--max-iter", type=at_least(1), default=200, help="updates of a network")
parser.add_argument("--figures", type=Path, default=Path("figures"))
parser.add_argument("--n-jobs", type=int, default=2)
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% A small grey photograph
image = Image.fromarray(load_sample_image("china.jpg")).convert("L")
image.thumbnail((128, 128), Image.Resampling.LANCZOS)
pixels = ImageCoordinateTransformer()
X, y = pixels.image_to_arrays(image)

# %% Every omega_0 on three folds of the pixels
omegas = [5, 10, 20, 30, 60]
regressor = SirenRegressor((96, 96, 96), max_iter=options.max_iter, random_state=0)
search = GridSearchCV(
    make_pipeline(pixels, regressor),
    {"sirenregressor__omega_0": omegas},
    scoring="neg_mean_squared_error",
    cv=KFold(3, shuffle=True, random_state=0),
    return_train_score=True,
    n_jobs=options.n_jobs,
).fit(X, y)

# %% PSNR on the pixels of the fit, and on those held out
n_splits = search.n_splits_
psnr = {
    part: -10
    * np.log10([-search.cv_results_[f"split{split}_{part}_score"] for split in range(n_splits)])
    for part in ("train", "test")
}
print("omega_0   training   held out   (PSNR in dB, mean of the folds)")
for omega, train, test in zip(
    omegas, psnr["train"].mean(axis=0), psnr["test"].mean(axis=0), strict=True
):
    print(f"{omega:7d} {train:10.2f} {test:10.2f}")
best = search.best_params_["sirenregressor__omega_0"]
print(f"best omega_0 on held-out pixels: {best}")

# %% The validation curve, and the picture that the best one makes of all pixels
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
for part, label in (("train", "pixels of the fit"), ("test", "held-out pixels")):
    mean, spread = psnr[part].mean(axis=0), psnr[part].std(axis=0)
    left.plot(omegas, mean, marker="o", label=label)
    left.fill_between(omegas, mean - spread, mean + spread, alpha=0.3)
left.axvline(best, color="gray", linestyle=":", label=f"best: {best}")
left.set_xscale("log")
left.set_xticks(omegas, [str(omega) for omega in omegas])
left.minorticks_off()
left.set_xlabel("omega_0")
left.set_ylabel("PSNR in dB")
left.legend()
height, width = 4 * image.height, 4 * image.width
larger = search.predict(pixels.grid((height, width)))
right.imshow(pixels.arrays_to_image(larger, shape=(height, width)), cmap="gray")
right.set_title(f"omega_0 = {best}, enlarged 4 times")
right.set_axis_off()
figure.savefig(options.figures / "grid_search_omega.png", dpi=120, bbox_inches="tight")
print(f"figures in {options.figures.resolve()}")
