"""The text format of the public CAREER code: one file per variable, one line per person, blanks between records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet, plain_code
from econllm.errors import DataError, OptionError, did_you_mean, listing, refusal
from econllm.files import replacing
from econllm.panel import CareerPanel

# Variables that the public code knows beside job and year: one entry per person, and one per record.
_STATIC, _DYNAMIC = ("gender", "ethnicity", "location"), ("education",)
_SPLITS = ("train", "valid", "test")
# Words that its dictionaries reserve; the last stands for whatever is not in them.
_UNKNOWN = "<unk>"
_RESERVED = frozenset(["<s>", "<pad>", "</s>", _UNKNOWN])
# Names of columns that are made without being asked for.
_OWN = ("person", "job", "year", "step")
_YEAR = re.compile(r"-?[0-9]{1,18}")

Lines = list[list[str]]


def read_career_text(
    folder: str | PathLike[str],
    split: str = "train",
    *,
    titles: Mapping[Any, str] | pd.Series | pd.DataFrame | ChoiceSet | None = None,
    static: Sequence[str] | None = None,
    dynamic: Sequence[str] | None = None,
) -> CareerPanel:
    r"""Read careers from the text files of the public CAREER code, such as ``train.job`` and ``train.year``.

    Parameters
    ----------
    folder : path
        Where the files are.
    split : str
        First part of their names: "train", "valid" or "test".
    titles : mapping, Series, DataFrame or ChoiceSet, optional
        Occupation code -> title. A ChoiceSet is taken whole; of anything else, the choice set is what occurs in some
        split, in the order of the titles. Codes that are numbers are matched by their text. Without titles, the codes
        are the entries of the ``.job`` files of all splits, as texts, sorted.
    static, dynamic : sequence of str, optional
        Files to read besides ``.job`` and ``.year``, by the last part of their names: with one entry per line, the
        same for all records of a person, or with one entry per record. By default gender, ethnicity and location, and
        education, as far as there are such files.

    Returns
    -------
    CareerPanel
        Columns ``person``, ``year``, ``job`` and those of the files. Persons are called by split and line, as in
        "train:07", so that those of several splits are never confused.

    Raises
    ------
    OptionError
        If the folder or the split does not exist, or a variable is named twice.
    DataError
        If a file is missing, or a line is empty, has another number of entries than the career has records, or an entry
        that is no year, no known occupation or a word that the format reserves; with file and line.

    Notes
    -----
    The format is that of github.com/keyonvafa/career-code (Vafa et al., arXiv 2202.08370): years are calendar years,
    and every file of a split has the same persons on the same lines. It describes no missing value; ``<unk>``, which
    its dictionaries reserve for words they do not hold, is read as one (no occupation or year can be missing). All
    other entries are levels of factors, also where they look like numbers, as in the public code. Choice set and levels
    are those of all splits in the folder (train, valid, test and the one that is read), so that the panels of the
    splits share them. Without ``.year`` files, time is the number of the record, in a column ``step``.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.job").write_text("31-2021 35-3011\n25-9044\n")
    >>> _ = (folder / "train.year").write_text("2001 2002\n2005\n")
    >>> _ = (folder / "train.gender").write_text("female\nmale\n")
    >>> panel = read_career_text(folder)
    >>> panel.persons.tolist(), panel.choices.codes, panel.roles.static
    (['train:1', 'train:2'], ('25-9044', '31-2021', '35-3011'), ('gender',))
    """
    root = Path(folder).expanduser()
    splits = _find_splits(root, split)
    constant, changing = _find_variables(root, splits, static, dynamic)
    choices = _read_choices(root, splits, titles)
    jobs = _read_lines(root / f"{split}.job", _RESERVED)
    lengths = np.array([len(line) for line in jobs])
    codes = {str(code): code for code in choices.codes}
    _check_jobs(root / f"{split}.job", jobs, codes)
    width = len(str(len(jobs)))
    persons = [f"{split}:{number:0{width}d}" for number in range(1, len(jobs) + 1)]
    columns: dict[str, Any] = {"person": np.repeat(np.array(persons, dtype=object), lengths)}
    time = "year" if _has(root, splits, "year") else "step"
    if time == "year":
        columns[time] = _read_years(root / f"{split}.year", lengths, f"{split}.job")
    else:
        columns[time] = np.concatenate([np.arange(1, n + 1) for n in lengths])
    columns["job"] = [codes[token] for line in jobs for token in line]
    for name in (*constant, *changing):
        path = root / f"{split}.{name}"
        lines = _read_lines(path, _RESERVED - {_UNKNOWN})
        _check_lengths(path, lines, np.ones_like(lengths) if name in constant else lengths, f"{split}.job")
        if name in constant:
            lines = [line * n for line, n in zip(lines, lengths, strict=True)]
        columns[name] = _factor(lines, _words(root, splits, name) - {_UNKNOWN})
    return CareerPanel(pd.DataFrame(columns), "person", time, "job", choices, static=constant, dynamic=changing)


def write_career_text(panel: CareerPanel, folder: str | PathLike[str], split: str = "train") -> None:
    r"""Write careers as text files for the public CAREER code, such as ``train.job`` and ``train.year``.

    Parameters
    ----------
    panel : CareerPanel
        The careers. The time column becomes ``.year``, the occupation ``.job``, and every static and dynamic column a
        file by its own name; the public code knows gender, ethnicity and location (static), and education (dynamic).
    folder : path
        Where to write; made if it does not exist. Files of the same names are replaced, all of them or none.
    split : str
        First part of their names: "train", "valid" or "test".

    Raises
    ------
    DataError
        If the panel has no rows, a time is no whole number, or a code or level is no single word: blanks separate
        records, so that it cannot hold one.
    OptionError
        If `panel` is no CareerPanel, a column's name cannot end the name of a file, or the folder holds a file of the
        split that does not belong to this panel.

    Notes
    -----
    Missing values are written as ``<unk>``, the word that the public code reserves for unknown ones. Records that only
    serve as history (after :meth:`econllm.CareerPanel.split_time`) are written like all others, as the public code
    wants them to test forecasts. Not written, for the format has no place for them: identifiers of persons (the order
    of lines is the panel's), titles, lagged columns, weights, and columns by outcome. :func:`read_career_text` with
    ``titles=panel.choices`` gives back the careers with their choice set; levels that were numbers come back as text.

    Examples
    --------
    >>> import tempfile
    >>> df = pd.DataFrame({"id": [1, 1, 2], "year": [2000, 2001, 2000], "job": ["cook", "clerk", "cook"]})
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_career_text(CareerPanel(df, "id", "year", "job"), folder)
    >>> (folder / "train.job").read_text()
    'cook clerk\ncook\n'
    """
    if not isinstance(panel, CareerPanel):
        raise OptionError(f"panel is a {type(panel).__name__}; give a CareerPanel.")
    root = Path(folder).expanduser()
    if root.exists() and not root.is_dir():
        raise OptionError(f"folder={str(root)!r} is a file; give a folder.")
    if not isinstance(split, str) or not split or not _ends_a_file_name(split):
        raise OptionError(f"split={split!r} cannot begin the name of a file; give 'train', 'valid' or 'test'.")
    texts = _texts(panel)
    stale = [name for name in (*_STATIC, *_DYNAMIC) if name not in texts and (root / f"{split}.{name}").exists()]
    if stale:
        raise OptionError(
            f"folder={str(root)!r} holds '{split}.{stale[0]}', but the panel has no column {stale[0]!r}: the file "
            "would be read as part of it. Delete the file, or give another folder."
        )
    root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for name, text in texts.items():
            draft = stack.enter_context(replacing(root / f"{split}.{name}"))
            with draft.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)


# Reading


def _find_splits(root: Path, split: str) -> list[str]:
    """Splits whose choice set and levels are shared: those of the public code that are there, and the one to read."""
    if not root.is_dir():
        raise OptionError(f"the folder {str(root)!r} does not exist.")
    if not (root / f"{split}.job").is_file():
        present = sorted(path.stem for path in root.glob("*.job"))
        held = f"it holds the splits {listing(present)}" if present else "it holds no .job file"
        raise OptionError(f"'{split}.job' is not in the folder {str(root)!r}; {held}.{did_you_mean(split, present)}")
    return [name for name in dict.fromkeys((*_SPLITS, split)) if (root / f"{name}.job").is_file()]


def _has(root: Path, splits: Iterable[str], name: str) -> bool:
    """Whether a variable is in the folder; what is there for one split has to be there for all."""
    absent = [split for split in splits if not (root / f"{split}.{name}").is_file()]
    present = [split for split in splits if split not in absent]
    if absent and present:
        raise DataError(
            f"'{absent[0]}.{name}' is not in the folder {str(root)!r}, but '{present[0]}.{name}' is: a variable has a "
            "file for every split, or for none."
        )
    return not absent


def _find_variables(
    root: Path, splits: list[str], static: Sequence[str] | None, dynamic: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    for option, names in (("static", static), ("dynamic", dynamic)):
        if isinstance(names, str):
            raise OptionError(f"{option}={names!r} is one text; give a list of names, [{names!r}].")
        if names is not None and not isinstance(names, Iterable):
            raise OptionError(refusal(option, names, "not allowed", "give a list of names"))
    named = [*(static or ()), *(dynamic or ())]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise OptionError(f"{twice[0]!r} is named twice in static= and dynamic=; a variable has one role.")
    reserved = [name for name in named if name in _OWN]
    if reserved:
        raise OptionError(f"{reserved[0]!r} is read without being named; leave it out of static= and dynamic=.")
    for name in named:
        if not _has(root, splits, name):
            known = sorted({path.suffix[1:] for path in root.glob(f"{splits[0]}.*")})
            raise DataError(
                f"'{splits[0]}.{name}' is not in the folder {str(root)!r}, which holds the variables {listing(known)}."
                f"{did_you_mean(name, known)}"
            )

    def choose(given: Sequence[str] | None, known: tuple[str, ...]) -> list[str]:
        if given is not None:
            return list(given)
        return [name for name in known if name not in named and _has(root, splits, name)]

    return choose(static, _STATIC), choose(dynamic, _DYNAMIC)


def _read_text(path: Path) -> str:
    try:
        # A mark of the byte order, as some editors write, is no part of the first entry.
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is no UTF-8 text: {error}.") from error


def _read_lines(path: Path, refused: frozenset[str]) -> Lines:
    lines = [line.split() for line in _read_text(path).removesuffix("\n").split("\n")]
    empty = [number for number, line in enumerate(lines, 1) if not line]
    if empty:
        raise DataError(f"{str(path)!r}: {len(empty)} of {len(lines)} lines are empty, first line {empty[0]}.")
    found = refused.intersection(*[{word for line in lines for word in line}])
    if found:
        number, word = next((i, word) for i, line in enumerate(lines, 1) for word in line if word in found)
        raise DataError(f"{str(path)!r}, line {number}: {word!r} is reserved by the format and no value here.")
    return lines


def _words(root: Path, splits: list[str], name: str) -> set[str]:
    """Different entries of a variable in all splits."""
    return set().union(*(_read_text(root / f"{split}.{name}").split() for split in splits))


def _read_choices(root: Path, splits: list[str], titles: Any) -> ChoiceSet:
    if isinstance(titles, ChoiceSet):
        return titles
    if isinstance(titles, str):
        raise OptionError(f"titles={titles!r} is a text; give a mapping from code to title, or a ChoiceSet.")
    words = _words(root, splits, "job") - _RESERVED
    if titles is None:
        if not words:
            raise DataError(f"the .job files in {str(root)!r} hold no occupation.")
        return ChoiceSet(sorted(words))
    full = ChoiceSet.from_titles(titles)
    kept = [code for code in full.codes if str(code) in words]
    # Where nothing is kept, the titles belong to other codes; that is said with the first line that has one.
    return ChoiceSet(kept, [full.title(code) for code in kept]) if kept else full


def _check_jobs(path: Path, jobs: Lines, codes: Mapping[str, Any]) -> None:
    unknown = [(number, word) for number, line in enumerate(jobs, 1) for word in line if word not in codes]
    if unknown:
        number, word = unknown[0]
        raise DataError(
            f"{str(path)!r}, line {number}: the job {word!r} is not in the choice set that titles= gives, which holds "
            f"{listing(codes, 3)}; this holds for {len(unknown)} records and {len({w for _, w in unknown})} codes."
            f"{did_you_mean(word, codes)}"
        )


def _check_lengths(path: Path, lines: Lines, wanted: np.ndarray, jobs: str) -> None:
    """Raise unless a file has the lines of the ``.job`` file, and every line the entries it should."""
    if len(lines) != len(wanted):
        raise DataError(
            f"{str(path)!r} has {len(lines)} lines, but {jobs!r} has {len(wanted)}: every file of a split has one line "
            "per person."
        )
    lengths = np.array([len(line) for line in lines])
    wrong = np.flatnonzero(lengths != wanted)
    if not wrong.size:
        return
    i = int(wrong[0])
    message = f"{str(path)!r}, line {i + 1} has {lengths[i]} entries"
    if (wanted == 1).all():
        raise DataError(f"{message}; a static variable has one per line. Name it in dynamic= if it has one per record.")
    hint = " It has one entry per line: name it in static=." if (lengths == 1).all() else ""
    raise DataError(
        f"{message}, but the career in {jobs!r} has {wanted[i]} records; lengths differ in {wrong.size} of "
        f"{len(lines)} lines.{hint}"
    )


def _read_years(path: Path, lengths: np.ndarray, jobs: str) -> np.ndarray:
    lines = _read_lines(path, _RESERVED)
    _check_lengths(path, lines, lengths, jobs)
    for number, line in enumerate(lines, 1):
        wrong = [word for word in line if not _YEAR.fullmatch(word)]
        if wrong:
            raise DataError(f"{str(path)!r}, line {number}: {wrong[0]!r} is no year; give whole numbers.")
    years = np.array([int(word) for line in lines for word in line], dtype=np.int64)
    person = np.repeat(np.arange(len(lengths)), lengths)
    falls = np.flatnonzero((np.diff(years) <= 0) & (np.diff(person) == 0))
    if falls.size:
        i = int(falls[0])
        raise DataError(
            f"{str(path)!r}, line {person[i] + 1}: {years[i + 1]} comes after {years[i]}, but the records of a person "
            f"are in order of time, one per year; {len(np.unique(person[falls]))} lines are not."
        )
    return years


def _factor(lines: Lines, levels: set[str]) -> pd.Categorical:
    """Entries as levels of a factor; what is no level is missing."""
    names = sorted(levels)
    place = {name: i for i, name in enumerate(names)}
    codes = np.array([place.get(word, -1) for line in lines for word in line], dtype=np.int64)
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype="object"))


# Writing


def _texts(panel: CareerPanel) -> dict[str, str]:
    """Text of every file, by the last part of its name."""
    roles, frame = panel.roles, panel.to_frame(history=True)
    if not len(frame):
        raise DataError("the panel has no rows; there is nothing to write.")
    static, dynamic = roles.of_records
    for name in (*static, *dynamic):
        if name in _OWN or not isinstance(name, str) or not _ends_a_file_name(name):
            raise OptionError(f"column {name!r} cannot end the name of a file of its own; rename it.")
    times = frame[roles.time].to_numpy(dtype=np.float64)
    broken = times % 1 != 0
    if broken.any():
        raise DataError(
            f"time column {roles.time!r} is no whole number in {int(broken.sum())} rows, first {times[broken][0]:g}; "
            "the format has calendar years."
        )
    starts = panel.starts
    years = np.array([str(int(year)) for year in times], dtype=object)
    texts = {"job": _careers(_entries(frame[roles.occupation]), starts), "year": _careers(years, starts)}
    for name in dynamic:
        texts[str(name)] = _careers(_entries(frame[name]), starts)
    for name in static:
        texts[str(name)] = "".join(f"{word}\n" for word in _entries(frame[name])[starts])
    return texts


def _careers(words: np.ndarray, starts: np.ndarray) -> str:
    return "".join(" ".join(career) + "\n" for career in np.split(words, starts[1:]))


def _entries(values: pd.Series) -> np.ndarray:
    """Write the values of a column as words."""
    codes, unique = pd.factorize(values)
    words = [str(plain_code(value)) for value in unique]
    # What is printable holds no other white space than blanks, and no line end of any kind.
    wrong = [word for word in words if not word or " " in word or not word.isprintable() or word in _RESERVED]
    if wrong:
        joined = "_".join(wrong[0].split())
        hint = f", such as {joined!r}" if " " in wrong[0] and joined not in words else ""
        raise DataError(
            f"column {values.name!r} has {len(wrong)} values that are no single word of the format, first "
            f"{wrong[0]!r}: blanks separate records. Rename them before the panel is made{hint}."
        )
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise DataError(f"column {values.name!r} has two values that are both written {twice!r}; rename one.")
    entries: np.ndarray = np.array([*words, _UNKNOWN], dtype=object)[codes]
    return entries


def _ends_a_file_name(name: str) -> bool:
    return name.isprintable() and not set(name) & set("/\\")
