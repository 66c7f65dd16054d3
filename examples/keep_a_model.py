"""Keep a fit: through an interruption, in a file without code, and at half the size.

A photograph is fitted in two sittings: the first ends after a fifth of a second, the second goes on
from its checkpoint, to the bits that one sitting gives. Then the model is saved in single and in
half precision, pickled and compressed by joblib, and each is read again. Prints sizes and what each
costs in PSNR; writes keep_a_model.png to the folder `figures`.
"""

# %%
import argparse
import pickle
import tempfile
import warnings
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_sample_image
from sklearn.exceptions import ConvergenceWarning

from skinr import ImageCoordinateTransformer, SirenRegressor

parser = argparse.ArgumentParser(description="Keep a fit.")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)

# %% Two sittings, and one
image = Image.fromarray(load_sample_image("flower.jpg")).convert("L").resize((160, 107))
X, y = ImageCoordinateTransformer().image_to_arrays(image)
siren = SirenRegressor(max_iter=300, random_state=0, checkpoint=folder / "fit.checkpoint")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    first = clone(siren).set_params(max_time=0.2).fit(X, y)
model = siren.fit(X, y)
at_once = clone(siren).set_params(checkpoint=None).fit(X, y)
same = np.array_equal(model.predict(X), at_once.predict(X))
print(
    f"first sitting {first.n_iter_} updates, second {model.n_iter_ - first.n_iter_}; "
    f"{'the same bits as' if same else 'other bits than'} in one sitting"
)

# %% Files
model.save(folder / "float32.skinr")
psnr_of_half = model.save(folder / "float16.skinr", dtype=np.float16)
(folder / "model.pickle").write_bytes(pickle.dumps(model))
joblib.dump(model, folder / "model.joblib", compress=3)
print(f"\n{model.n_parameters_} parameters, {4 * model.n_parameters_} bytes in float32")
print(f"{'file':<16}{'bytes':>9}{'PSNR against the pixels':>26}")
restored = {
    "float32.skinr": SirenRegressor.load(folder / "float32.skinr"),
    "float16.skinr": SirenRegressor.load(folder / "float16.skinr"),
    "model.pickle": pickle.loads((folder / "model.pickle").read_bytes()),
    "model.joblib": joblib.load(folder / "model.joblib"),
}
for name, copy in restored.items():
    psnr = -10 * np.log10(np.mean((copy.predict(X).clip(0, 1) - y) ** 2))
    print(f"{name:<16}{(folder / name).stat().st_size:>9}{psnr:>23.4f} dB")
print(f"half precision against single: {psnr_of_half:.1f} dB")
temporary.cleanup()

# %% What half precision changes
pictures = {
    "photograph": y,
    "saved in float32": restored["float32.skinr"].predict(X),
    "saved in float16": restored["float16.skinr"].predict(X),
    "difference × 1000": 0.5 + 1000 * (restored["float16.skinr"].predict(X) - model.predict(X)),
}
figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
for ax, (title, values) in zip(axes, pictures.items(), strict=True):
    ax.imshow(np.reshape(values, (image.height, image.width)), cmap="gray", vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig(options.figures / "keep_a_model.png", dpi=120)
print(f"figure in {options.figures.resolve()}")
