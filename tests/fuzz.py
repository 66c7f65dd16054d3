"""Damaged and forged files: what becomes of each.

A few thousand are tried by the test suite. The long run, as a script:

    python tests/fuzz.py models --mutations 100000
    python tests/fuzz.py forgeries --mutations 100000
    python tests/fuzz.py images --mutations 100000
"""

import argparse
import io
import json
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import safetensors.numpy
from PIL import Image

from skinr import ImageCoordinateTransformer, SirenRegressor
from skinr.files import digest
from skinr.pictures import PIL_MODES

ORIENTATION = 0x0112
"""EXIF's tag of it."""

IMAGE_FILES = [
    ("RGB", "PNG", {}),
    ("RGB", "JPEG", {}),
    ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    ("RGB", "GIF", {}),
    ("RGB", "BMP", {}),
    ("RGB", "WEBP", {"lossless": True}),
    ("RGB", "PPM", {}),
    ("RGB", "TGA", {}),
    ("RGB", "JPEG2000", {}),
    ("P", "PNG", {}),
    ("P", "GIF", {}),
    ("1", "TIFF", {}),
    ("I;16", "PNG", {}),
    ("F", "TIFF", {}),
    ("CMYK", "JPEG", {}),
    ("L", "SGI", {}),
]
"""Modes and formats of which files are damaged, and Pillow's options to write them."""

EXTREMES = [0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 1e308, 1e-320, 0.5, "", "cpu:99", None]
EXTREMES += [True, [], {}, [[]], "\ud800", "a" * 10_000, [1] * 1000, "1e999", "float16"]


def damage_bytes(content, random):
    """Flip, overwrite, cut, drop, repeat or insert bytes, one to four times."""
    content = bytearray(content)
    for _ in range(random.randint(1, 5)):
        kind, length = random.randint(6), int(2 ** random.uniform(0, 8))
        start = random.randint(len(content) + 1)
        if random.rand() < 0.5:
            start = min(start, random.randint(256))
        if kind == 0 and start < len(content):
            content[start] ^= 1 << random.randint(8)
        elif kind == 1:
            content[start : start + length] = random.bytes(length)
        elif kind == 2:
            del content[start:]
        elif kind == 3:
            del content[start : start + length]
        elif kind == 4:
            content[start:start] = content[start : start + length]
        else:
            content[start:start] = random.bytes(length)
    return bytes(content)


def unpack(content):
    """Return the description and the arrays of a saved model."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])["__metadata__"]["skinr"]
    return json.loads(header)["description"], safetensors.numpy.load(content)


def pack(description, arrays):
    """Write a file whose digest is right, as somebody who means harm would."""
    header = {"description": description, "sha256": digest(description, arrays)}
    return safetensors.numpy.save(arrays, {"skinr": json.dumps(header)})


def forge(content, random):
    """Replace, drop or add an entry of the description, or change an array; the digest fits."""
    description, arrays = unpack(content)
    if random.rand() < 0.6:
        node = description
        while True:
            key = list(node)[random.randint(len(node))]
            if not isinstance(node[key], dict) or random.rand() < 0.2:
                break
            node = node[key]
        if random.rand() < 0.15:
            del node[key]
        elif random.rand() < 0.15:
            node["another"] = EXTREMES[random.randint(len(EXTREMES))]
        else:
            node[key] = EXTREMES[random.randint(len(EXTREMES))]
        return pack(description, arrays)
    name = sorted(arrays)[random.randint(len(arrays))]
    array = arrays[name]
    changes = [
        lambda: array.astype([np.float16, np.float64, np.int64, np.uint8][random.randint(4)]),
        lambda: np.full_like(array, [np.nan, np.inf, -1, 3e38][random.randint(4)]),
        lambda: array[:-1],
        lambda: np.stack([array, array]),
        lambda: np.zeros((0,), array.dtype),
    ]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrays[name] = np.ascontiguousarray(changes[random.randint(len(changes))]())
    if random.rand() < 0.2:
        arrays["another"] = arrays.pop(name)
    return pack(description, arrays)


def check_message(message, path=""):
    """Fail where the message of a rejection does not name the file, or says nothing of why."""
    name = repr(str(path)) if path else ""
    assert message.startswith(name), message
    assert len(message) > len(name) + 20, message


def outcome_of_model(content, path, X, expected):
    """Return what becomes of a saved model: "rejected", "same" or "other finite predictions"."""
    path.write_bytes(content)
    try:
        predictions = SirenRegressor.load(path).predict(X)
    except ValueError as error:
        check_message(str(error), path)
        return "rejected"
    assert np.isfinite(predictions).all()
    if predictions.shape == expected.shape and np.array_equal(predictions, expected):
        return "same"
    return "other finite predictions"


def outcome_of_image(content):
    """Return what becomes of an image file: "rejected" or "read"."""
    pixels = ImageCoordinateTransformer()
    try:
        X, y = pixels.image_to_arrays(io.BytesIO(content))
    except ValueError as error:
        check_message(str(error))
        return "rejected"
    assert len(X) == len(y)
    assert not np.isinf(y).any()
    assert pixels.arrays_to_image(y).mode in PIL_MODES
    return "read"


def small_model():
    """Return a fitted model and rows to predict."""
    X = np.linspace(0, 1, 20)[:, None]
    y = np.c_[np.sin(9 * X[:, 0]), X[:, 0]]
    options = {"max_iter": 20, "early_stopping": True, "random_state": 0}
    return SirenRegressor((8, 8), **options).fit(X, y), X


def fuzz_models(mutate, n_mutations, seed=0):
    """Mutate a saved model, and count the outcomes."""
    model, X = small_model()
    random = np.random.RandomState(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skinr"
        model.save(path)
        whole = path.read_bytes()
        expected = model.predict(X)
        return Counter(
            outcome_of_model(mutate(whole, random), path, X, expected) for _ in range(n_mutations)
        )


def image_files():
    """Write a small picture, lying on its side by its EXIF, in every mode and format."""
    ramp = np.add.outer(np.arange(24) * 5, np.arange(20) * 6).astype(np.uint8)
    picture = Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], axis=-1))
    files = []
    for mode, name, options in IMAGE_FILES:
        grey = mode in ("I;16", "F")
        converted = (picture.convert("L") if grey else picture).convert(mode)
        exif = converted.getexif()
        exif[ORIENTATION] = 6
        file = io.BytesIO()
        converted.save(file, name, exif=exif, **options)
        files.append(file.getvalue())
    return files


def fuzz_images(n_mutations, seed=0):
    """Damage image files of every format, and count the outcomes."""
    random = np.random.RandomState(seed)
    files = image_files()
    outcomes = Counter()
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 1_000_000
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for index in range(n_mutations):
                content = damage_bytes(files[index % len(files)], random)
                outcomes[outcome_of_image(content)] += 1
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return outcomes


FUZZERS = {
    "models": lambda *arguments: fuzz_models(damage_bytes, *arguments),
    "forgeries": lambda *arguments: fuzz_models(forge, *arguments),
    "images": fuzz_images,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=FUZZERS)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(dict(FUZZERS[arguments.what](arguments.mutations, arguments.seed)))
