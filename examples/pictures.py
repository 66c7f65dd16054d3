"""The photograph that an example is about: one of yours, or one of scikit-learn's."""

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image


def open_picture(path, sample):
    """Return a picture in 8 bits, upright; without a path scikit-learn's sample of that name."""
    if path is None:
        return Image.fromarray(load_sample_image(sample))
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode.startswith("I"):  # greys of 16 bits, which Pillow would clip
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    return picture
