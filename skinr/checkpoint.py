"""Checkpoints: the state of a running fit in a file, from which it goes on to the same bits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor

from skinr.files import open_file, require_safetensors, to_plain, write_file
from skinr.scaling import CHUNK_SIZE

if TYPE_CHECKING:
    from skinr.problem import Problem
    from skinr.regressor import SirenRegressor

FORMAT = 1
"""Version of the files; a checkpoint of another version is not gone on from."""

INTERVAL = 10.0
"""Seconds between two checkpoints."""

RUN_PARAMETERS = {"checkpoint", "device", "max_time", "verbose"}
"""Parameters that say how a fit is run, not what it is."""

State = Mapping[str, Tensor]


def refuse_checkpoints(parameters: Iterable[tuple[str, Any]]) -> None:
    """Raise a ValueError where one of these names and values has a checkpoint, of many fits."""
    for name, value in parameters:
        if hasattr(value, "get_params"):
            refuse_checkpoints(value.get_params().items())
        if name.rpartition("__")[2] == "checkpoint" and value is not None:
            raise ValueError(
                f"{name}={value!r} is a file for one fit, and there are to be many. Set it to "
                "None, and `memory` to a folder that keeps what is done."
            )


def checkpoint_of(regressor: SirenRegressor, problem: Problem) -> Checkpoint | None:
    """Return the file that a fit of this problem goes on from, where it has one.

    Raises
    ------
    ValueError
        If the fit would not draw the same numbers again.
    """
    if regressor.checkpoint is None:
        return None
    if not isinstance(regressor.random_state, Integral):
        raise ValueError(
            "checkpoint needs an integer random_state, so that a fit started again draws the "
            f"same numbers; random_state={regressor.random_state!r} given."
        )
    parameters = {
        name: to_plain(name, value)
        for name, value in regressor.get_params(deep=False).items()
        if name not in RUN_PARAMETERS
    }
    weights = problem.stack.parameters.numpy(force=True)
    table = [_hash(part) for part in problem.table if part is not None]
    return Checkpoint(regressor.checkpoint, joblib.hash([parameters, table, weights]))


def _hash(part: NDArray[Any]) -> list[str]:
    """Return the hashes of the chunks of an array, which need not fit into memory."""
    return [joblib.hash(part[chunk]) for chunk in gen_batches(len(part), CHUNK_SIZE)]


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : path-like
    fingerprint : str
        Says which fit: equal for equal parameters, rows and initial weights.

    Raises
    ------
    ImportError
        Without safetensors.
    ValueError
        If there can be no such file.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: str) -> None:
        require_safetensors()
        self._path = Path(path)
        is_other = self._path.exists() and not self._path.is_file()
        if is_other or not self._path.parent.is_dir():
            raise ValueError(
                f"checkpoint={os.fspath(path)!r} must be the path of a file, new or old, in a "
                "folder that exists."
            )
        self._fingerprint = fingerprint
        self._written_at = monotonic()

    def is_due(self) -> bool:
        """Return whether the last checkpoint is `INTERVAL` seconds ago."""
        return monotonic() - self._written_at >= INTERVAL

    def write(self, n_iter: int, state: State) -> None:
        """Replace the file by the state after `n_iter` updates.

        Parameters
        ----------
        n_iter : int
        state : mapping of str to Tensor
            All that the rest of the fit depends on.

        Warns
        -----
        UserWarning
            If it can't be written; an earlier checkpoint is then still there.
        """
        description = {"format": FORMAT, "fingerprint": self._fingerprint, "n_iter": n_iter}
        arrays = {name: part.numpy(force=True) for name, part in state.items()}
        try:
            write_file(self._path, description, arrays)
        except OSError as error:
            warnings.warn(
                f"The checkpoint after {n_iter} updates could not be written, an earlier one is "
                f"kept, and the fit goes on: {error}",
                stacklevel=2,
            )
        self._written_at = monotonic()

    def restore(self, state: State) -> int:
        """Put the state of the file, where there is one, into tensors of the same shapes.

        Parameters
        ----------
        state : mapping of str to Tensor
            Overwritten.

        Returns
        -------
        n_iter : int
            Updates done; 0 where there is no file yet.

        Raises
        ------
        ValueError
            If the file is damaged, or of another fit.
        """
        if not self._path.exists():
            return 0
        with open_file(self._path, "a checkpoint of this fit") as file:
            if file.description["format"] != FORMAT:
                raise ValueError(f"its format is {file.description['format']!r}, not {FORMAT}")
            if file.description["fingerprint"] != self._fingerprint:
                raise ValueError(
                    "data, parameters or the network to go on from were others when it was "
                    "written. Delete it, or give checkpoint another path, to begin anew"
                )
            for name, part in state.items():
                if file.arrays[name].shape != tuple(part.shape):
                    raise ValueError(f"its array {name!r} has shape {file.arrays[name].shape}")
            arrays = file.read()
            n_iter = int(file.description["n_iter"])
        for name, part in state.items():
            part.copy_(torch.from_numpy(np.array(arrays[name])))
        return n_iter
