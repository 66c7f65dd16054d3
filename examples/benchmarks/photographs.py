"""Photographs with missing pixels filled in, and enlarged, against interpolation.

The photographs that scikit-learn and scikit-image bring along, as squares. Three tables: half of
the pixels missing at random, the PSNR of which is compared with cubic interpolation between the
others (scipy's griddata); enlargements of pictures that were reduced by averaging areas, in PSNR
and SSIM, against Pillow's bicubic and Lanczos; and the gains over all of them. `ImageRegressor`
runs with its default regressor, or with the mean of several such networks.
"""

import argparse
from pathlib import Path

import numpy as np
from common import describe_environment, psnr, square, write_json
from PIL import Image
from scipy.interpolate import griddata
from skimage.metrics import structural_similarity
from sklearn.ensemble import BaggingRegressor

from skinr import ImageRegressor, SirenRegressor

PHOTOGRAPHS = ("china", "flower", "astronaut", "camera", "chelsea", "coffee", "coins", "rocket")


def inpaint(photograph, options, random_state):
    """Return PSNR in dB of the missing pixels by method."""
    values = np.asarray(photograph) / 255
    known = np.random.default_rng(random_state).random(values.shape[:2]) < 1 - options.missing
    given, missing = np.argwhere(known), np.argwhere(~known)
    cubic = griddata(given, values[known], missing, method="cubic")
    outside = np.isnan(cubic).any(axis=1)
    cubic[outside] = griddata(given, values[known], missing[outside], method="nearest")
    model = ImageRegressor(siren(options, random_state)).fit(photograph, mask=known)
    return {
        "cubic": psnr(values[~known], cubic),
        "SIREN": model.score(photograph, mask=~known),
    }


def enlarge(photograph, options, random_state):
    """Return PSNR in dB and SSIM by method."""
    small = photograph.reduce(options.scale)
    pictures = {
        "bicubic": small.resize(photograph.size, Image.Resampling.BICUBIC),
        "Lanczos": small.resize(photograph.size, Image.Resampling.LANCZOS),
        "SIREN": ImageRegressor(siren(options, random_state))
        .fit(small)
        .predict(scale=options.scale),
    }
    truth = np.asarray(photograph)
    return {
        name: (
            psnr(truth / 255, np.asarray(picture) / 255),
            float(structural_similarity(truth, np.asarray(picture), channel_axis=2)),
        )
        for name, picture in pictures.items()
    }


def siren(options, random_state):
    if options.networks == 1:
        return SirenRegressor(max_iter=options.max_iter, random_state=random_state)
    return BaggingRegressor(
        SirenRegressor(max_iter=options.max_iter),
        options.networks,
        bootstrap=False,
        random_state=random_state,
    )


def median_and_worst(gains):
    return f"{np.median(gains):+.2f} median, {np.min(gains):+.2f} worst"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", nargs="+", default=PHOTOGRAPHS, help="names or paths")
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--missing", type=float, default=0.5, help="share of the pixels")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--states", type=int, default=5)
    parser.add_argument("--max-iter", type=int, default=1000, help="updates")
    parser.add_argument("--networks", type=int, default=1, help="averaged for a prediction")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    states = range(options.states)
    results = []

    print(f"\n{options.missing:.0%} of the pixels missing: PSNR in dB, medians over random states")
    print(f"{'photograph':<12}{'cubic':>8}{'SIREN':>8}{'gain':>8}{'worst gain':>12}")
    gains = []
    for name in options.photographs:
        photograph = square(name, options.size, "RGB")
        runs = [inpaint(photograph, options, state) for state in states]
        gain = [run["SIREN"] - run["cubic"] for run in runs]
        cubic, fitted = (np.median([run[kind] for run in runs]) for kind in ("cubic", "SIREN"))
        print(
            f"{Path(name).stem:<12}{cubic:>8.2f}{fitted:>8.2f}{np.median(gain):>8.2f}"
            f"{min(gain):>12.2f}",
            flush=True,
        )
        gains.append(np.median(gain))
        results.append({"task": "inpaint", "photograph": name, "runs": runs})
    print(f"gain over cubic, over photographs: {median_and_worst(gains)}")

    print(f"\nenlarged {options.scale} times: PSNR in dB and SSIM, medians over random states")
    kinds = ("bicubic", "Lanczos", "SIREN")
    print(f"{'photograph':<12}" + "".join(f"{kind:>8}{'SSIM':>8}" for kind in kinds))
    medians = []
    for name in options.photographs:
        photograph = square(name, options.size, "RGB")
        runs = [enlarge(photograph, options, state) for state in states]
        median = {kind: np.median([run[kind] for run in runs], axis=0) for kind in kinds}
        print(
            f"{Path(name).stem:<12}"
            + "".join(f"{median[kind][0]:>8.2f}{median[kind][1]:>8.3f}" for kind in kinds),
            flush=True,
        )
        medians.append(median)
        results.append({"task": "enlarge", "photograph": name, "runs": runs})
    for rival in ("bicubic", "Lanczos"):
        decibels, similarity = np.transpose([median["SIREN"] - median[rival] for median in medians])
        print(
            f"gain over {rival}, over photographs: {median_and_worst(decibels)} dB; "
            f"SSIM {np.median(similarity):+.4f} median, {similarity.min():+.4f} worst"
        )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
