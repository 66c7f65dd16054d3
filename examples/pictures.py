"""The photograph that an example is about: one of yours, or one of scikit-learn's."""

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image


def open_picture(parser, path, sample):
    """Return a picture in 8 bits, upright; without a path scikit-learn's sample of that name."""
    if path is None:
        return Image.fromarray(load_sample_image(sample))
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except Exception as error:  # Pillow's plugins raise what their parsers happen to run into
        parser.error(f"--image {path}: {error}")
    if picture.mode.startswith(("I", "F")):  # greys of more bits, which Pillow would clip
        values = np.nan_to_num(np.asarray(picture), posinf=0).clip(0)
        white = max(values.max(), 1 if picture.mode == "F" else 65535)
        picture = Image.fromarray((255 * (values / white)).astype(np.uint8))
    return picture


def check_size(parser, picture, least):
    """End the program with a message where a side of a picture has too few pixels."""
    if min(picture.size) < least:
        width, height = picture.size
        parser.error(f"a picture of {width} x {height} pixels; sides of {least} are needed")
