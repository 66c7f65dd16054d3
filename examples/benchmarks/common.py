"""What the benchmarks share: photographs, PSNR, timing, and the machine they ran on."""

import json
import platform
import resource
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import pairwise, permutations
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import sklearn
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import skinr

PHOTOGRAPHS = ("china", "flower")
LECTURE_SIZES = (128,) * 4
LECTURE_EPOCHS, LECTURE_BATCH_SIZE = 100, 256 * (256 // 10)
LEARNED_DB = 15.0
LEARNED = 0.1
"""Largest 1 - R² of a fit that has learned something."""
WARM_UP = 3


def square(name, size=256, mode="L"):
    """Return the central square of a photograph of scikit-learn or scikit-image, or of a file."""
    if name in PHOTOGRAPHS:
        photograph = Image.fromarray(load_sample_image(f"{name}.jpg"))
    elif Path(name).exists():
        photograph = Image.open(name)
    else:
        photograph = Image.fromarray(getattr(import_module("skimage.data"), name)())
    photograph = photograph.convert(mode)
    side = min(photograph.size)
    left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
    box = (left, top, left + side, top + side)
    return photograph.resize((size, size), Image.Resampling.LANCZOS, box=box)


class Sine(torch.nn.Module):
    """The activation of the lecture and the paper."""

    def forward(self, affine):
        """Return sin(30 x)."""
        return torch.sin(30 * affine)


def sine_network(widths, first_bound, *, last_is_sine):
    """Return a network of sine layers, initialised like the paper's but for the first one."""
    layers = []
    for n_in, n_out in pairwise(widths):
        linear = torch.nn.Linear(n_in, n_out)
        bound = np.sqrt(6 / n_in) / 30 if layers else first_bound
        torch.nn.init.uniform_(linear.weight, -bound, bound)
        layers += [linear, Sine()]
    return torch.nn.Sequential(*(layers if last_is_sine else layers[:-1]))


def lecture_network():
    """Return the lecture's network, whose output is a sine too."""
    return sine_network((2, *LECTURE_SIZES, 1), np.sqrt(1 / 2), last_is_sine=True)


def psnr(values, predicted):
    """Return the peak signal-to-noise ratio in dB of predictions clipped to [0, 1]."""
    return float(-10 * np.log10(np.mean((values - np.clip(predicted, 0, 1)) ** 2)))


def seconds_to_fit(model, X, y):
    """Return what a fit takes, whatever it warns of."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return perf_counter() - start


def time_rounds(functions, n_rounds):
    """Return seconds of shape (n_rounds, n_functions), the order changing from round to round."""
    seconds = np.empty((WARM_UP + n_rounds, len(functions)))
    orders = list(permutations(range(len(functions))))
    for index in range(len(seconds)):
        for function in orders[index % len(orders)]:
            start = perf_counter()
            functions[function]()
            seconds[index, function] = perf_counter() - start
    return seconds[WARM_UP:]


def in_a_fresh_process(function, *arguments):
    """Call a function of a module in a process of its own, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def peak_megabytes(who=resource.RUSAGE_SELF):
    """Return the most memory that this process has had, or the largest of its children."""
    per_megabyte = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(who).ru_maxrss / per_megabyte


def environment():
    """Return versions and threads, which every figure depends on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "skinr": skinr.__version__,
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
    }


def describe_environment():
    """Return the environment as one line."""
    return ", ".join(f"{name} {value}" for name, value in environment().items())


def write_json(path, results):
    """Write results with their environment, where a path is given."""
    if path:
        Path(path).write_text(json.dumps({"environment": environment(), "results": results}))
