"""Files of arrays and a description: written whole or not at all, and checked before use.

The container is safetensors, of which neither part can hold code; its header keeps, as JSON, the
description, and a SHA-256 digest of it and of the arrays. Equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}
"""The array types that a file may hold, by their names in safetensors."""

Arrays = Mapping[str, NDArray[Any]]
Description = dict[str, Any]


class ArrayInfo(NamedTuple):
    """What a file says of an array before it is read.

    Parameters
    ----------
    dtype : numpy dtype
    shape : tuple of int
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def write_file(path: str | os.PathLike[str], description: Description, arrays: Arrays) -> None:
    """Replace a file, so that at any moment there is either the old one or the new one.

    Whose it is and who may read it stays as it was, as far as the process may say so, and a link to
    it stays one.

    Parameters
    ----------
    path : path-like
    description : dict
        Of what JSON can hold.
    arrays : mapping of str to ndarray

    Raises
    ------
    ImportError
        Without safetensors.
    OSError
        If it can't be written; an earlier file of that name is then still there, and so is what is
        no regular file.
    """
    safetensors = require_safetensors()
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"description": description, "sha256": digest(description, contiguous)}
    content = safetensors.numpy.save(contiguous, {"skinr": _to_text(header)})
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(
            f"{str(path)!r} is no regular file, but a folder, pipe or device; a file, new or old, "
            "is accepted."
        )
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            if path.exists():
                shutil.copymode(path, temporary)
                _copy_owner(path, file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class StoredFile:
    """An open file of :func:`write_file`.

    Parameters
    ----------
    file : safetensors.safe_open

    Attributes
    ----------
    description : dict
    arrays : dict of str to ArrayInfo
        What can be read; nothing has been allocated for it.
    """

    def __init__(self, file: Any) -> None:
        header = _parse((file.metadata() or {})["skinr"])
        self._file = file
        self._sha256 = header["sha256"]
        self.description: Description = header["description"]
        self.arrays = {name: _info(file.get_slice(name)) for name in list(file.keys())}

    def read(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, after a look at the digest."""
        arrays = {name: self._file.get_tensor(name) for name in self.arrays}
        if self._sha256 != digest(self.description, arrays):
            raise ValueError("its digest is not that of its content: it has been damaged")
        return arrays


@contextmanager
def open_file(path: str | os.PathLike[str], kind: str) -> Iterator[StoredFile]:
    """Open what :func:`write_file` wrote.

    Parameters
    ----------
    path : path-like
    kind : str
        What the file should be, for messages.

    Yields
    ------
    file : StoredFile
        A ValueError, KeyError or TypeError in the context says what is wrong with the file.

    Raises
    ------
    ImportError
        Without safetensors.
    OSError
        If there is no such file, or it can't be read.
    ValueError
        If it is anything else than a whole, unchanged file of this kind.
    """
    safetensors = require_safetensors()
    Path(path).open("rb").close()
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield StoredFile(file)
    except KeyError as error:
        raise ValueError(f"{os.fspath(path)!r} is not {kind}: it has no {error}.") from error
    except (ValueError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        reason = str(error).removesuffix(".")
        raise ValueError(f"{os.fspath(path)!r} is not {kind}: {reason}.") from error


def require_safetensors() -> Any:
    """Return the module safetensors, or raise an ImportError that says how to install it."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "Saved models and checkpoints need safetensors: pip install 'skinr[persistence]'."
        ) from error
    return safetensors


def digest(description: Description, arrays: Arrays) -> str:
    """Return the SHA-256 digest of a file's content, in hexadecimal digits.

    Parameters
    ----------
    description : dict
    arrays : mapping of str to ndarray

    Returns
    -------
    digest : str
    """
    content = hashlib.sha256(_to_text(description).encode())
    for name in sorted(arrays):
        array = arrays[name]
        content.update(repr((name, array.dtype.str, array.shape)).encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def _copy_owner(path: Path, file: int) -> None:
    """Give an open file the group and the owner of another one, as far as that is possible."""
    status = path.stat()
    for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
        with suppress(OSError, AttributeError):  # the latter on Windows
            os.fchown(file, owner, group)


def _to_text(description: Description) -> str:
    return json.dumps(description, allow_nan=False)


def _parse(text: str) -> Description:
    def number(digits: str) -> float:
        value = float(digits)
        if not isfinite(value):
            raise ValueError(f"its description has the number {digits}")
        return value

    description = json.loads(text, parse_float=number, parse_constant=number)
    if not isinstance(description, dict):
        raise TypeError("its description is not an object")
    return description


def _info(entry: Any) -> ArrayInfo:
    name = entry.get_dtype()
    if name not in DTYPES:
        raise TypeError(f"it holds an array of type {name}")
    return ArrayInfo(np.dtype(DTYPES[name]), tuple(entry.get_shape()))


def to_plain(name: str, value: Any) -> Any:
    """Return a parameter as JSON has it."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_plain(name, entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name}={value!r} is no number that JSON has; set another to save.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{name}={value!r} can't be saved, only numbers, text, None and sequences of such. "
        f"Set another value with set_params({name}=...); the fit stays as it is."
    )
