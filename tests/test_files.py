import json
import os
import pickle
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skinr.files import open_file, write_file

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], np.int64)}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # A lone surrogate is no text.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text("abc"), JSON),
    st.dictionaries(
        st.text("xyz", min_size=1),
        hnp.arrays(
            st.sampled_from(["f2", "f4", "f8", "i8"]), hnp.array_shapes(min_dims=0, min_side=0)
        ),
    ),
)
def test_what_is_written_is_read(tmp_path_factory, description, arrays):
    path = tmp_path_factory.mktemp("files") / "file"
    write_file(path, description, arrays)
    with open_file(path, "a file") as file:
        assert file.description == description
        assert {name: info.shape for name, info in file.arrays.items()} == {
            name: array.shape for name, array in arrays.items()
        }
        found = file.read()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_equal_content_gives_equal_bytes(tmp_path):
    contents = set()
    for _ in range(5):
        write_file(tmp_path / "file", {"b": 1.5, "a": None}, ARRAYS)
        contents.add((tmp_path / "file").read_bytes())
    assert len(contents) == 1


def test_an_array_in_another_order_of_memory(tmp_path):
    write_file(tmp_path / "file", {}, {"a": ARRAYS["a"].T})
    with open_file(tmp_path / "file", "a file") as file:
        np.testing.assert_array_equal(file.read()["a"], ARRAYS["a"].T)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_file(path, {"version": "old"}, ARRAYS)
    old = path.read_bytes()

    def disk_full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, {"version": "new"}, ARRAYS)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_stays_private(tmp_path):
    path = tmp_path / "file"
    write_file(path, {"version": "old"}, ARRAYS)
    path.chmod(0o600)
    write_file(path, {"version": "new"}, ARRAYS)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root gives files away.")
def test_a_file_stays_its_owners(tmp_path):
    path = tmp_path / "file"
    write_file(path, {"version": "old"}, ARRAYS)
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    write_file(path, {"version": "new"}, ARRAYS)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 5678, 0o640)


def test_an_owner_that_cannot_be_kept_is_no_error(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    for version in ("old", "new"):
        write_file(tmp_path / "file", {"version": version}, ARRAYS)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_no_file_is_not_replaced(tmp_path, make, through_link):
    path = tmp_path / "pipe or folder"
    make(path)
    if through_link:
        (tmp_path / "link").symlink_to(path)
    before, mode = sorted(tmp_path.iterdir()), path.stat().st_mode
    with pytest.raises(OSError, match=r"no regular file, .*; a file, new or old"):
        write_file(tmp_path / "link" if through_link else path, {}, ARRAYS)
    assert sorted(tmp_path.iterdir()) == before
    assert path.stat().st_mode == mode


def test_the_file_that_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    for version in ("old", "new"):
        write_file(tmp_path / "link", {"version": version}, ARRAYS)
        assert (tmp_path / "link").is_symlink()
        with open_file(tmp_path / "folder" / "file", "a file") as file:
            assert file.description == {"version": version}


def test_a_name_of_254_bytes(tmp_path):
    path = tmp_path / ("é" * 127)
    write_file(path, {}, ARRAYS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "nowhere" / "file", {}, ARRAYS)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "file")


def read(path):
    with open_file(path, "a file of ours") as file:
        return file.read()


def stored(header, arrays=ARRAYS):
    return safetensors.numpy.save(arrays, header)


FOREIGN = {
    "empty": (b"", "header"),
    "text": (b"once upon a time, a text was no model", "header"),
    "no description": (stored(None), "it has no 'skinr'"),
    "nothing in it": (stored({"skinr": "{}"}), "it has no 'sha256'"),
    "another digest": (stored({"skinr": '{"sha256": "0", "description": {}}'}), "damaged"),
    "a list": (stored({"skinr": "[]"}), "not an object"),
    "no JSON": (stored({"skinr": "{"}), "not a file of ours"),
    "NaN": (stored({"skinr": '{"a": NaN}'}), "number NaN"),
    "1e999": (stored({"skinr": '{"a": 1e999}'}), "number 1e999"),
    "an endless number": (stored({"skinr": "1" * 10_000}), "digits"),
    "deep": (stored({"skinr": "[" * 100_000}), "recursion"),
    "bytes": (
        stored({"skinr": '{"sha256": "0", "description": {}}'}, {"a": np.zeros(2, np.uint8)}),
        "type U8",
    ),
    "a gigantic header": ((2**62).to_bytes(8, "little") + b"{}", "header"),
    "a gigantic array": (
        (lambda text: len(text).to_bytes(8, "little") + text)(
            json.dumps(
                {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
            ).encode()
        ),
        "",
    ),
}


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_foreign_files(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of ours") as caught:
        read(path)
    assert message in str(caught.value)


def test_a_pickle_is_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    (tmp_path / "file").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is not a file of ours"):
        read(tmp_path / "file")
    assert not (tmp_path / "run").exists()


def test_without_safetensors(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"skinr\[persistence\]"):
        write_file(tmp_path / "file", {}, ARRAYS)
