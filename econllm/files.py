"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from econllm.errors import OptionError


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to write, once its folder is known to exist.

    Parameters
    ----------
    path : str or path
        The file; "~" means the home folder.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OptionError
        If the folder does not exist or the path is itself a folder.

    Examples
    --------
    >>> check_target("table.tex").name
    'table.tex'
    >>> check_target("no_such_folder/table.tex")
    Traceback (most recent call last):
        ...
    econllm.errors.OptionError: path='no_such_folder/table.tex': the folder 'no_such_folder' does not exist; ...
    """
    target = Path(path).expanduser()
    if target.is_dir():
        raise OptionError(f"path={os.fspath(path)!r} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise OptionError(
            f"path={os.fspath(path)!r}: the folder {str(target.parent)!r} does not exist; create it first."
        )
    return target


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a draft beside a file, and put it in the file's place if all goes well.

    Parameters
    ----------
    path : str or path
        The file to write. Its folder must exist.

    Yields
    ------
    pathlib.Path
        Where to write; removed if an error occurs, so that no reader ever meets half a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "table.md") as draft:
    ...         _ = draft.write_text("| a |")
    ...     (Path(folder) / "table.md").read_text()
    '| a |'
    """
    target = check_target(path)
    # A sibling of the target, because only a rename within one file system is atomic; named by hand and not by
    # tempfile, whose files are readable by their owner alone.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield draft
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    r"""Write UTF-8 text with ``\n`` line ends to a file, replacing it in one step.

    Parameters
    ----------
    path : str or path
        The file. Its folder must exist.
    text : str
        What it will hold.

    Raises
    ------
    OptionError
        If the folder does not exist or the path is itself a folder.
    """
    with replacing(path) as draft, draft.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
