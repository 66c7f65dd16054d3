"""Pixels of any dtype to values that can be fitted, and back."""

from __future__ import annotations

import os
from io import TextIOBase
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skinr.pictures import PictureFormat, make_picture, read_picture

Array = NDArray[Any]
ImageSource = Image.Image | Array | str | os.PathLike[str] | IO[bytes]

VALUE_DTYPES = {
    "bool": np.float32,
    "uint8": np.float32,
    "int8": np.float32,
    "uint16": np.float32,
    "int16": np.float32,
    "uint32": np.float64,
    "int32": np.float64,
    "float16": np.float32,
    "float32": np.float32,
    "float64": np.float64,
}
"""Accepted pixel dtypes, and the dtype that holds their values without loss."""

MAX_CHANNELS = 4
"""Entries up to which the last axis of an array of three axes or more is taken for channels."""


class ImageFormat(NamedTuple):
    """What an image is apart from its pixels.

    Parameters
    ----------
    grid_shape : tuple of int
        Number of pixels along each axis, channels left out.
    n_channels : int or None
        Number of values of a pixel; None where there is no channel axis.
    channel_axis : int or None
        Where the channels are in the image's array.
    dtype : numpy.dtype
        Type of the pixels.
    picture : PictureFormat or None
        Mode and palette of a picture that Pillow has read; None for an array.
    """

    grid_shape: tuple[int, ...]
    n_channels: int | None
    channel_axis: int | None
    dtype: np.dtype[Any]
    picture: PictureFormat | None


def read_image(image: ImageSource, channel_axis: int | str | None) -> tuple[Array, ImageFormat]:
    """Read any image.

    Parameters
    ----------
    image : PIL.Image.Image, ndarray, path, or binary file
    channel_axis : int, None or "auto"
        Of an array, as :meth:`ImageCoordinateTransformer.image_to_arrays` takes it.

    Returns
    -------
    pixels : ndarray of shape (*grid_shape, n_channels)
        With one channel where the image has no axis for them.
    image_format : ImageFormat

    Raises
    ------
    ValueError
        If the image is corrupt, empty, too large for Pillow, infinite somewhere, or of another
        mode or dtype.
    TypeError
        If it is a masked array, or not an image at all.
    OSError
        If the path is not that of a file that can be opened.
    """
    if isinstance(image, np.ma.MaskedArray):
        raise TypeError(
            "A masked array given, whose mask would be ignored; accepted are image.data with "
            "mask=~np.ma.getmaskarray(image), and floats that are NaN where a pixel is missing."
        )
    if isinstance(image, np.ndarray):
        pixels, picture = np.asarray(image), None
    elif isinstance(image, Image.Image | str | os.PathLike) or _is_binary_file(image):
        pixels, picture = read_picture(image)
    else:
        raise TypeError(
            f"{type(image).__name__} given; accepted are a PIL image, an array, a path and a "
            "file opened in mode 'rb'."
        )
    _check_pixels(pixels)
    axis = _find_channel_axis(pixels, "auto" if picture else channel_axis)
    pixels = pixels[..., None] if axis is None else np.moveaxis(pixels, axis, -1)
    *sizes, n_channels = pixels.shape
    image_format = ImageFormat(
        tuple(sizes), None if axis is None else n_channels, axis, pixels.dtype, picture
    )
    return pixels, image_format


def refuse_masks(name: str, value: Any) -> None:
    """Raise a TypeError for a masked array."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; give {name}.data.")


def make_image(pixels: Array, image_format: ImageFormat) -> Image.Image | Array:
    """Make an image of pixels; the inverse of :func:`read_image`.

    Parameters
    ----------
    pixels : ndarray of shape (*grid_shape, n_channels)
        Of any grid shape.
    image_format : ImageFormat

    Returns
    -------
    image : PIL.Image.Image or ndarray
    """
    if image_format.channel_axis is None:
        array = pixels[..., 0]
    else:
        array = np.moveaxis(pixels, -1, image_format.channel_axis)
    return array if image_format.picture is None else make_picture(array, image_format.picture)


def to_values(pixels: Array) -> Array:
    """Return values: integers divided by the largest one of their dtype, floats as they are.

    Parameters
    ----------
    pixels : ndarray

    Returns
    -------
    values : ndarray of the same shape, float32, or float64 where the pixels need it
    """
    values = pixels.astype(VALUE_DTYPES[pixels.dtype.name])
    if pixels.dtype.kind in "iu":
        values /= values.dtype.type(np.iinfo(pixels.dtype).max)
    return values


def to_pixels(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return pixels, rounded and clipped to what their dtype holds; the inverse of `to_values`.

    Parameters
    ----------
    values : ndarray
    dtype : numpy.dtype
        Booleans are what is above 0.5.

    Returns
    -------
    pixels : ndarray of the same shape
    """
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind == "f":
        return clip_values(values, dtype).astype(dtype)
    pixels = np.multiply(clip_values(values, dtype), np.iinfo(dtype).max, dtype=np.float64)
    return np.rint(pixels).astype(dtype)


def clip_values(values: Array, dtype: np.dtype[Any]) -> Array:
    """Clip values to what pixels of a dtype can hold.

    Parameters
    ----------
    values : ndarray
    dtype : numpy.dtype

    Returns
    -------
    values : ndarray of the same shape
    """
    if dtype.kind == "f":
        return values.clip(np.finfo(dtype).min, np.finfo(dtype).max)
    lowest = np.iinfo(dtype).min / np.iinfo(dtype).max if dtype.kind == "i" else 0.0
    return values.clip(lowest, 1.0)


def _is_binary_file(image: object) -> bool:
    return hasattr(image, "read") and not isinstance(image, TextIOBase)


def _check_pixels(pixels: Array) -> None:
    if pixels.dtype.name not in VALUE_DTYPES:
        raise ValueError(
            f"Pixels of dtype {pixels.dtype} given; accepted are {', '.join(VALUE_DTYPES)}."
        )
    if pixels.ndim == 0 or pixels.size == 0:
        raise ValueError(
            f"An empty image of shape {pixels.shape} given; at least one pixel needed."
        )
    if pixels.dtype.kind == "f" and np.isinf(pixels).any():
        raise ValueError("The image holds infinite pixels; finite ones, and NaN, are accepted.")


def _find_channel_axis(pixels: Array, channel_axis: int | str | None) -> int | None:
    if channel_axis == "auto":
        return pixels.ndim - 1 if pixels.ndim > 2 and pixels.shape[-1] <= MAX_CHANNELS else None
    if channel_axis is None:
        return None
    is_axis = channel_axis in range(-pixels.ndim, pixels.ndim) and pixels.ndim > 1
    if isinstance(channel_axis, bool) or not is_axis:
        raise ValueError(
            f"channel_axis={channel_axis!r} given for an array of shape {pixels.shape}; accepted "
            "are 'auto', None, and one of its axes if another remains."
        )
    return int(channel_axis) % pixels.ndim
