"""The lecture that this package grew from, and the same photograph with the package's defaults.

A grey image of 256 x 256 pixels, a network of 50,049 parameters with a sine after every layer,
coordinates in [-0.5, 0.5], Adam at a constant rate, batches of 6400 pixels for 100 epochs. With
some random states that recipe never learns anything (``--random-state 2``). Writes lecture.png,
lecture_loss.png and lecture_activations.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.metrics import mean_squared_error

from skinr import ImageCoordinateTransformer, SirenRegressor

parser = argparse.ArgumentParser(description="The lecture's path, and this package's.")
parser.add_argument("--epochs", type=at_least(1), default=100, help="of the lecture's recipe")
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="updates by the defaults")
parser.add_argument("--random-state", type=int, default=3)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% A grey photograph of 256 x 256 pixels
SIZE = 256
flower = Image.fromarray(load_sample_image("flower.jpg")).convert("L")
side = min(flower.size)
left, top = (flower.width - side) // 2, (flower.height - side) // 2
box = (left, top, left + side, top + side)
image = flower.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box)
pixels = ImageCoordinateTransformer()
X, y = pixels.image_to_arrays(image)

# %% The lecture's coordinates, values, network and recipe
coordinates, centred = X / SIZE - 0.5, y - 0.5
batch_size = SIZE * (SIZE // 10)
n_batches = -(-len(y) // batch_size)
lecture = SirenRegressor(
    hidden_layer_sizes=(128, 128, 128, 128),
    omega_0=30,
    output_activation="sine",
    first_layer_init="lecture",
    weight_scale=1,
    normalize_X=False,
    normalize_y=False,
    learning_rate="constant",
    learning_rate_init=1e-3,
    beta_2=0.999,
    batch_size=batch_size,
    max_iter=options.epochs * n_batches,
    random_state=options.random_state,
    verbose=True,
)
start = perf_counter()
lecture.fit(coordinates, centred)
lecture_seconds = perf_counter() - start
epochs = lecture.loss_curve_.reshape(options.epochs, n_batches)
print(f"{lecture.n_parameters_} parameters for {len(y)} pixels")
for epoch in sorted({0, options.epochs // 2, options.epochs - 1}):
    print(f"epoch {epoch:3d}  mean squared error {epochs[epoch].mean():.6f}")

# %% The same photograph with the package's defaults
defaults = SirenRegressor(
    max_iter=options.max_iter, random_state=options.random_state, verbose=True
)
start = perf_counter()
defaults.fit(pixels.fit_transform(X), y)
default_seconds = perf_counter() - start

# %% Both, side by side
reconstructions = {
    "lecture": (lecture.predict(coordinates) + 0.5, lecture_seconds, lecture.n_iter_),
    "skinr's defaults": (defaults.predict(pixels.transform(X)), default_seconds, defaults.n_iter_),
}
figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
axes[0].imshow(image, cmap="gray")
axes[0].set_title("photograph")
for ax, (name, (values, seconds, n_iter)) in zip(axes[1:], reconstructions.items(), strict=True):
    psnr = -10 * np.log10(mean_squared_error(y, values.clip(0, 1)))
    print(f"{name}: {psnr:.1f} dB after {n_iter} updates in {seconds:.1f} s")
    ax.imshow(pixels.arrays_to_image(values), cmap="gray")
    ax.set_title(f"{name}: {psnr:.1f} dB, {seconds:.0f} s")
for ax in axes:
    ax.set_axis_off()
figure.savefig(options.figures / "lecture.png", dpi=120)

# %% The logarithm of the loss, by epoch
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(np.log(epochs.mean(axis=1)))
ax.set_xlabel("epoch")
ax.set_ylabel("log of the mean squared error")
ax.set_title("the lecture's recipe")
figure.savefig(options.figures / "lecture_loss.png", dpi=120)

# %% What every layer computes: pre-activations and activations
layers = lecture.layer_activations(coordinates[::16])
figure, axes = plt.subplots(2, len(layers), figsize=(3 * len(layers), 5), layout="constrained")
for index, (column, layer) in enumerate(zip(axes.T, layers, strict=True)):
    for ax, values, name in zip(column, layer, ("pre-activation", "activation"), strict=True):
        ax.hist(values.ravel(), bins=100, density=True)
        ax.set_title(f"layer {index + 1}, {name}")
        ax.set_yticks([])
figure.savefig(options.figures / "lecture_activations.png", dpi=120)

# %% Saved and loaded again, it predicts the same
with TemporaryDirectory() as folder:
    joblib.dump(lecture, Path(folder) / "lecture.joblib")
    again = joblib.load(Path(folder) / "lecture.joblib")
print(
    "reloaded, same bits:", np.array_equal(again.predict(coordinates), lecture.predict(coordinates))
)
print(f"figures in {options.figures.resolve()}")
