"""Tiles against one network, and how the time of tiles grows with the number of pixels.

Two tables. Quality: photographs fitted by one network and by tiles of small ones, of the same
number of parameters in all and of the same number and size of updates each, which is the same
number of multiplications; the two take turns. Size: pictures of 0.06 to 24 megapixels, fitted
from a file tile by tile and predicted whole, each in a process of its own. The pictures are a
photograph of 0.27 megapixels, mirrored to the size, so that their detail is real; the time does
not depend on it. Peak memory is that of the main process plus that of its largest worker times
their number.
"""

import argparse
import resource
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from common import (
    PHOTOGRAPHS,
    describe_environment,
    in_a_fresh_process,
    peak_megabytes,
    write_json,
)
from joblib import effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from PIL import Image
from sklearn.datasets import load_sample_image

from skinr import ImageRegressor, SirenRegressor
from skinr.network import Architecture

SMALL, TILE_SIZE, OMEGA_0 = (64, 64, 64), 128, 30
BATCH_SIZE = 1024


def n_parameters(widths):
    return Architecture(2, widths, 3).n_parameters


def tiles(options, random_state):
    """Return a regressor of tiles."""
    siren = SirenRegressor(
        SMALL,
        omega_0=OMEGA_0,
        max_iter=options.max_iter,
        batch_size=BATCH_SIZE,
        random_state=random_state,
    )
    return ImageRegressor(siren, tile_size=TILE_SIZE, n_jobs=options.n_jobs)


def one_network(options, random_state, n_total):
    """Return a regressor of one network, of the largest width that `n_total` parameters allow."""
    width = max(width for width in range(1, 4096) if n_parameters((width,) * 3) <= n_total)
    siren = SirenRegressor(
        (width,) * 3,
        omega_0=OMEGA_0,
        max_iter=options.max_iter,
        batch_size=BATCH_SIZE,
        random_state=random_state,
    )
    return ImageRegressor(siren)


def quality(name, options):
    """Fit a photograph by both, in changing order; return PSNR and seconds of each."""
    photograph = load_sample_image(f"{name}.jpg")
    n_tiles = np.prod([-(-size // TILE_SIZE) for size in photograph.shape[:2]])
    n_total = n_tiles * n_parameters(SMALL)
    runs = {"one network": [], "tiles": []}
    for state in range(options.states):
        models = {
            "one network": one_network(options, state, n_total),
            "tiles": tiles(options, state),
        }
        for kind in list(models)[:: 1 if state % 2 == 0 else -1]:
            start = perf_counter()
            models[kind].fit(photograph)
            seconds = perf_counter() - start
            runs[kind].append((models[kind].score(photograph), seconds))
    results = []
    for kind, outcomes in runs.items():
        decibels, seconds = map(list, zip(*outcomes, strict=True))
        count = sum(regressor.n_parameters_ for regressor in models[kind].regressors_)
        results.append({"photograph": name, "kind": kind, "psnr": decibels, "seconds": seconds})
        print(
            f"{name:<12}{kind:<14}{len(models[kind].regressors_):>6}{count:>12}"
            f"{np.median(seconds):>10.1f}{np.median(decibels):>10.2f}{min(decibels):>8.2f}",
            flush=True,
        )
    return results


def mirrored(n_megapixels):
    """Return a photograph mirrored to a picture of some size, 3 wide and 2 high."""
    photograph = load_sample_image("china.jpg")
    height = round((n_megapixels * 1e6 / 1.5) ** 0.5)
    shape = (height, round(1.5 * height))
    padding = [(0, max(0, new - size)) for new, size in zip(shape, photograph.shape, strict=False)]
    return np.pad(photograph, [*padding, (0, 0)], mode="symmetric")[: shape[0], : shape[1]]


def fit_file(path, options):
    """Fit a file and predict it whole; return what it took. Runs in a process of its own."""
    warm_up(options)
    start = perf_counter()
    model = tiles(options, 0).fit(path)
    fitted = perf_counter()
    predicted = model.predict()
    end = perf_counter()
    rows = zip(np.asarray(predicted), np.asarray(Image.open(path)), strict=True)
    error = np.mean([np.square(np.subtract(*pair, dtype=np.float32)).mean() for pair in rows])
    n_workers = effective_n_jobs(options.n_jobs)
    get_reusable_executor().shutdown(wait=True)
    return {
        "pixels": predicted.width * predicted.height,
        "tiles": len(model.regressors_),
        "seconds to fit": fitted - start,
        "seconds to predict": end - fitted,
        "psnr": float(20 * np.log10(255) - 10 * np.log10(error)),
        "megabytes": peak_megabytes()
        + (n_workers * peak_megabytes(resource.RUSAGE_CHILDREN) if n_workers > 1 else 0),
    }


def warm_up(options):
    """Start the workers."""
    model = tiles(options, 0)
    model.set_params(regressor__max_iter=1).fit(np.zeros((TILE_SIZE, 8 * TILE_SIZE, 3), np.uint8))


def size(n_megapixels, options):
    """Fit a picture of some size from a file in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(mirrored(n_megapixels)).save(path, compress_level=1)
        result = in_a_fresh_process(fit_file, path, options)
    print(
        f"{result['pixels'] / 1e6:>10.2f}{result['tiles']:>8}{result['seconds to fit']:>12.1f}"
        f"{result['seconds to predict']:>12.1f}{result['psnr']:>10.2f}{result['megabytes']:>12.0f}",
        flush=True,
    )
    return result


def draw(results, path):
    """Draw seconds over megapixels."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    megapixels = [result["pixels"] / 1e6 for result in results]
    for what in ("seconds to fit", "seconds to predict"):
        ax.loglog(megapixels, [result[what] for result in results], marker="o", label=what)
    ax.set_xlabel("megapixels")
    ax.legend()
    path.mkdir(parents=True, exist_ok=True)
    figure.savefig(path / "tiles.png", dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=3, help="of the first table")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[0.06, 0.25, 1, 4, 24])
    parser.add_argument("--max-iter", type=int, default=500, help="updates of a network")
    parser.add_argument("--n-jobs", type=int, default=-1, help="tiles fitted in parallel")
    parser.add_argument("--figures", type=Path, help="folder for a picture of the second table")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    warm_up(options)
    print(f"\n{'photograph':<12}{'':<14}{'tiles':>6}{'parameters':>12}{'seconds':>10}", end="")
    print("  PSNR in dB: median, worst")
    qualities = [
        result
        for name in (PHOTOGRAPHS if options.states else ())
        for result in quality(name, options)
    ]
    print(f"\n{'megapixels':>10}{'tiles':>8}{'fit in s':>12}{'predict':>12}{'PSNR':>10}", end="")
    print(f"{'megabytes':>12}")
    sizes = [size(n_megapixels, options) for n_megapixels in options.megapixels]
    write_json(options.json, {"quality": qualities, "size": sizes})
    if options.figures:
        draw(sizes, options.figures)


if __name__ == "__main__":
    main()
