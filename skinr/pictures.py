"""Pillow's pictures, and the files that it reads: to arrays of pixels, and back."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.spatial import KDTree

Array = NDArray[Any]
Picture = Image.Image | str | os.PathLike[str] | IO[bytes]

BANDS = ("LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
"""Modes of several 8-bit bands, each of which is a channel as it is."""

SINGLE = ("1", "L", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Modes of one band."""

PALETTES = ("P", "PA")
"""Modes of indices into a palette, which are read as the colours that they stand for."""

PIL_MODES = SINGLE + BANDS + PALETTES

KEYED = ("L", "RGB")
"""Modes of which one colour may stand for transparent pixels, which are read with alpha."""

KEPT = ("icc_profile", "dpi", "transparency")
"""What is kept of Pillow's `info`; not comments, EXIF, or what an animation needs."""


class Palette(NamedTuple):
    """The colours that a picture uses, and their indices.

    Parameters
    ----------
    indices : ndarray of shape (n_colours,), uint8
    colours : ndarray of shape (n_colours, 3) or (n_colours, 4), uint8
        RGB, or RGBA where the palette knows transparency.
    """

    indices: Array
    colours: Array

    def nearest(self, colours: Array) -> Array:
        """Return the indices (...) of the nearest used colours to `colours` (..., 3 or 4)."""
        indices: Array = self.indices[KDTree(self.colours).query(colours)[1]]
        return indices


class PictureFormat(NamedTuple):
    """What a picture is apart from its pixels.

    Parameters
    ----------
    mode : str
        Pillow's mode.
    info : dict
        Those of `KEPT` that the picture has.
    palette : Palette or None
        Of the modes P and PA.
    """

    mode: str
    info: dict[str, Any]
    palette: Palette | None = None

    @property
    def transparent_colour(self) -> Array | None:
        """The colour that stands for transparent pixels, if there is one."""
        colour = np.array(self.info.get("transparency"), ndmin=1)
        if self.mode not in KEYED or colour.shape != (len(self.mode),) or colour.dtype.kind != "i":
            return None
        return colour.astype(np.uint8) if ((colour >= 0) & (colour < 256)).all() else None

    @property
    def read_as(self) -> str:
        """The mode whose bands the values of the pixels are."""
        if self.palette is not None:
            is_opaque = self.mode == "P" and self.palette.colours.shape[1] == 3
            return "RGB" if is_opaque else "RGBA"
        if self.mode == "1" or self.mode.startswith("I;16"):
            return "L"
        return self.mode if self.transparent_colour is None else f"{self.mode}A"


def read_picture(picture: Picture) -> tuple[Array, PictureFormat]:
    """Read the pixels of a picture, upright as its EXIF orientation says.

    Parameters
    ----------
    picture : PIL.Image.Image, path, or binary file
        Of several frames the one that is open, the first of a file.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, n_bands)
        Bands as they are, but colours for the indices of a palette, and with alpha where one colour
        stands for transparent pixels.
    picture_format : PictureFormat

    Raises
    ------
    ValueError
        If it is corrupt, too large for Pillow, or of a mode that is not in `PIL_MODES`.
    OSError
        If the path is not that of a file that can be opened.
    """
    upright = _load(picture)
    mode = upright.mode
    info = {name: upright.info[name] for name in KEPT if name in upright.info}
    if mode in SINGLE + BANDS:
        pixels = np.asarray(upright) if mode in SINGLE else _stack_bands(upright)
        picture_format = PictureFormat(mode, info)
        colour = picture_format.transparent_colour
        return pixels if colour is None else _with_alpha(pixels, colour), picture_format
    if mode in PALETTES:
        colours, palette = _look_up(upright)
        return colours, PictureFormat(mode, info, palette)
    raise ValueError(
        f"An image of mode {mode!r} given; accepted are {', '.join(PIL_MODES)}. Convert it first, "
        'for instance with image.convert("RGB").'
    )


def make_picture(pixels: Array, picture_format: PictureFormat) -> Image.Image:
    """Make a picture of pixels; the inverse of :func:`read_picture`.

    Parameters
    ----------
    pixels : ndarray of shape (height, width) or (height, width, n_bands)
    picture_format : PictureFormat
        Colours are taken to the nearest one of a palette.

    Returns
    -------
    picture : PIL.Image.Image
    """
    if picture_format.transparent_colour is not None:
        pixels = _without_alpha(pixels, picture_format.transparent_colour)
    picture = _make_bare(pixels, picture_format)
    picture.info.update(picture_format.info)
    return picture


def _make_bare(pixels: Array, picture_format: PictureFormat) -> Image.Image:
    mode, _, palette = picture_format
    if palette is None:
        return _merge_bands(mode, pixels) if mode in BANDS else _from_band(mode, pixels)
    n_components = palette.colours.shape[1]
    indices = palette.nearest(pixels[..., :n_components])
    if mode == "PA":
        picture = _merge_bands(mode, np.dstack([indices, pixels[..., -1]]))
    else:
        picture = _from_band(mode, indices)
    table = np.zeros((256, n_components), np.uint8)
    table[palette.indices] = palette.colours
    picture.putpalette(table.tobytes(), "RGBA" if n_components == 4 else "RGB")
    return picture


def _load(picture: Picture) -> Image.Image:
    try:
        with _open(picture) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{error} If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS, or set it to None."
        ) from error
    except MemoryError as error:
        raise ValueError("The image does not fit in memory.") from error
    except Exception as error:  # Pillow's plugins raise what their parsers happen to run into
        if isinstance(error, OSError) and error.filename is not None:
            raise  # that of a path that can't be opened
        reason = str(error) or type(error).__name__
        raise ValueError(f"Not an image that Pillow can read: {reason}") from error
    return upright


def _open(picture: Picture) -> AbstractContextManager[Image.Image]:
    """Return a context of the picture; what was open before stays open after it."""
    if isinstance(picture, Image.Image):
        return nullcontext(picture)
    opened = Image.open(picture)
    if opened.format == "EPS":
        with opened:  # which closes it
            raise ValueError("EPS files are programs, which would have to be run; render it first.")
    return opened


def _stack_bands(picture: Image.Image) -> Array:
    # Band by band: the array of a whole LAB picture has a and b with their sign bit flipped, which
    # puts a jump where they are neutral.
    return np.stack([np.asarray(band) for band in picture.split()], axis=-1)


def _merge_bands(mode: str, pixels: Array) -> Image.Image:
    return Image.merge(mode, [Image.fromarray(band) for band in np.moveaxis(pixels, -1, 0)])


def _from_band(mode: str, pixels: Array) -> Image.Image:
    height, width = pixels.shape
    packed = np.packbits(pixels, axis=1) if mode == "1" else pixels
    return Image.frombytes(mode, (width, height), packed.tobytes())


def _with_alpha(pixels: Array, transparent_colour: Array) -> Array:
    """Return 8-bit pixels with an alpha channel, which is 0 where they have a colour."""
    is_opaque = (np.atleast_3d(pixels) != transparent_colour).any(axis=-1)
    return np.dstack([pixels, np.uint8(255) * is_opaque])


def _without_alpha(pixels: Array, transparent_colour: Array) -> Array:
    """Give transparent pixels their colour, and opaque ones that have it the next to it."""
    colours, is_transparent = pixels[..., :-1].copy(), pixels[..., -1] < 128
    colours[(colours == transparent_colour).all(axis=-1), -1] ^= 1
    colours[is_transparent] = transparent_colour
    return colours if colours.shape[-1] > 1 else colours[..., 0]


def _look_up(picture: Image.Image) -> tuple[Array, Palette]:
    """Return colours for a picture's indices, and the palette that leads back."""
    with_alpha = picture.mode == "PA" or picture.has_transparency_data
    colours = np.asarray(picture.convert("RGBA" if with_alpha else "RGB"))
    n_components = 4 if with_alpha and picture.mode == "P" else 3
    used, first = np.unique(np.asarray(picture.getchannel(0)), return_index=True)
    entries = colours.reshape(-1, colours.shape[-1])[first, :n_components]
    return colours, Palette(used, entries)
