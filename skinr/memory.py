"""The folder that keeps what was done, for a fit of many parts that goes on later."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from sklearn.utils.validation import check_memory


def cached(function: Callable[..., Any], memory: Any) -> Callable[..., Any]:
    """Return a function that does what another does, and takes from `memory` what was done.

    Parameters
    ----------
    function : callable
    memory : str, path-like, object with the interface of joblib.Memory, or None
        None keeps nothing. A relative path is that of a folder of this process, in workers too,
        which may have begun elsewhere.

    Returns
    -------
    function : callable

    Raises
    ------
    ValueError
        If `memory` can't be a folder.
    """
    folder = os.path.abspath(memory) if isinstance(memory, str | os.PathLike) else memory
    try:
        result: Callable[..., Any] = check_memory(folder).cache(function)
    except OSError as error:
        raise ValueError(
            f"memory={str(memory)!r} must be a folder, new or old, that can be written to: {error}."
        ) from error
    return result
