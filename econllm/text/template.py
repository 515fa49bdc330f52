"""Careers as text: the full résumé, and the exact part of it that is known before each occupation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.errors import DataError, OptionError, check_columns, check_option, did_you_mean, listing, refusal
from econllm.options import TitleStyle
from econllm.text.columns import Columns
from econllm.text.resume import Resume
from econllm.text.wording import Pieces, check_fields, column_words, fill, is_single_line, parse_pieces, plain


@dataclass(frozen=True)
class ResumeTemplate:
    """The wording of résumés: TMPL in the papers, full or truncated before an occupation.

    A résumé is an opening line, a sentence on the static covariates, one line per record and an end line. The part
    known before the occupation of record t (its covariates, all earlier records with their titles and lagged columns)
    is a prefix of the full text, character for character. Titles and values are printed as they stand: braces or
    percent signs in them mean nothing. A column called like a general field (time, static, dynamic, lagged, title)
    can be shown by the phrase of its group only.

    Parameters
    ----------
    dataset : str
        Words for the data set, for the field ``{dataset}``.
    opening : str
        First line; field ``{dataset}``. Empty for none.
    person : str
        Line on static covariates; fields ``{static}`` (all of them as "name: value") and each static column by name.
        Left out when it shows ``{static}`` and there is none. Empty for none.
    record : str, optional
        Line of a record; fields ``{time}``, ``{dynamic}``, ``{static}``, each static or dynamic column by name, and
        ``{title}`` exactly once, at the end, after one blank. By default ``"{time} ({dynamic}): {title}"``, without
        the bracket when there are no dynamic columns.
    details : str, optional
        What follows a title on its line; fields ``{lagged}`` and each lagged column by name. Must begin with a mark,
        because it tells where the title ends. By default ``" [{lagged}]"`` when there are lagged columns, else nothing.
    closing : str
        Last line of a full résumé; field ``{dataset}``. Empty for none.
    titles : {"text", "code"}
        Whether occupations appear as titles or as codes (numeric titles are an ablation of LABOR-LLM).
    names : mapping from column to str, optional
        Words for columns, before the panel's labels.
    values : mapping from column to mapping from value to str, optional
        Words for values, such as ``{"sex": {1: "male", 2: "female"}}``, before the panel's value labels.
    missing : str
        Words for a missing value.

    Raises
    ------
    OptionError
        If a piece has an unknown field, prints the title elsewhere than at the end of a record, or breaks a line.

    Notes
    -----
    Numbers print compactly (1980.0 as 1980, others with at most six significant digits), booleans as yes and no, dates
    in ISO form. The blank before a title belongs to the title, not to the prefix: byte-pair tokenizers join a blank
    with the word that follows it.
    Truncated résumés as prompts: Athey et al. (arXiv 2406.17972).

    Examples
    --------
    >>> import pandas as pd
    >>> from econllm.choices import ChoiceSet
    >>> frame = pd.DataFrame({"year": [1980, 1981], "educ": [12.0, 12.0], "union": [True, False]})
    >>> columns = Columns("year", dynamic=("educ",), lagged=("union",))
    >>> jobs = ChoiceSet([1, 2], ["Clerk", "Cook"])
    >>> template = ResumeTemplate(dataset="a survey")
    >>> print(template.render(frame, columns, [0], jobs, [1, 0])[1].text)
    The career of one person in a survey.
    1980 (educ: 12): Cook [union: yes]
    1981 (educ: 12):
    """

    dataset: str = "a longitudinal survey"
    opening: str = "The career of one person in {dataset}."
    person: str = "About this person: {static}."
    record: str | None = None
    details: str | None = None
    closing: str = "End of the career."
    titles: TitleStyle = "text"
    names: Mapping[Hashable, str] = field(default_factory=dict, hash=False)
    values: Mapping[Hashable, Mapping[Any, str]] = field(default_factory=dict, hash=False)
    missing: str = "unknown"

    def __post_init__(self) -> None:
        check_option("titles", self.titles, ["text", "code"])
        object.__setattr__(self, "names", _checked_words("names", self.names))
        words = _mapping("values", self.values)
        cleaned = {column: _checked_words(f"values[{column!r}]", given) for column, given in words.items()}
        object.__setattr__(self, "values", cleaned)
        for option in ("dataset", "missing"):
            _check_word(option, getattr(self, option))
        for option in ("opening", "closing"):
            check_fields(option, parse_pieces(option, getattr(self, option)), ["dataset"])
        parse_pieces("person", self.person)
        if self.record is not None:
            _check_record(parse_pieces("record", self.record), self.record)
        if self.details is not None:
            _check_details(parse_pieces("details", self.details), self.details)

    def check(self, columns: Columns) -> None:
        """Raise unless every field, name and value of the template belongs to a column.

        Parameters
        ----------
        columns : Columns
            The columns of a panel.

        Raises
        ------
        OptionError
            Naming the field or column and the nearest valid one; a lagged column in `record` or `person` is refused
            because it would show the job before it is predicted.

        Examples
        --------
        >>> ResumeTemplate(person="Born in {birth_year}.").check(Columns("year", static=("birth_year",)))
        """
        static = _fields("static", columns.static)
        dynamic = _fields("dynamic", columns.dynamic)
        lagged = _fields("lagged", columns.lagged)
        person, record, details = self._pieces(columns)
        for option, pieces in (("person", person), ("record", record)):
            _refuse_lagged(option, pieces, lagged)
        check_fields("person", person, static)
        check_fields("record", record, ["time", *static, *dynamic, "title"])
        check_fields("details", details, lagged)
        for option, given in (("names", self.names), ("values", self.values)):
            for column in given:
                if column not in columns.used:
                    raise OptionError(
                        f"{option} speaks of {column!r}, which no résumé shows.{did_you_mean(column, columns.used)}"
                        f" Columns shown: {listing(columns.used, 12)}."
                    )

    def shown(self, columns: Columns) -> tuple[str, ...]:
        """Names of the columns that résumés show, in the order in which they do.

        Parameters
        ----------
        columns : Columns
            The columns of a panel.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> ResumeTemplate().shown(Columns("year", static=("sex",), lagged=("wage",)))
        ('sex', 'year', 'wage')
        """
        groups = {"static": columns.static, "dynamic": columns.dynamic, "lagged": columns.lagged}
        groups["time"] = (columns.time,)
        names = [name for pieces in self._pieces(columns) for _, name in pieces if name not in (None, "title")]
        return tuple(str(column) for name in names for column in groups.get(str(name), (name,)))

    def terminator(self, columns: Columns) -> str:
        r"""Characters that follow every title: where a language model has to see that a title is over.

        Parameters
        ----------
        columns : Columns
            The columns of a panel; they decide whether details follow.

        Returns
        -------
        str
            A line break, or the text with which `details` begins.

        Examples
        --------
        >>> ResumeTemplate().terminator(Columns("year")), ResumeTemplate().terminator(Columns("year", lagged=("wage",)))
        ('\n', ' [')
        """
        details = self._pieces(columns)[2]
        return details[0][0] if details else "\n"

    def outcome_texts(self, choices: ChoiceSet, columns: Columns) -> tuple[str, ...]:
        """What is printed for every occupation, in the order of the choice set.

        Parameters
        ----------
        choices : ChoiceSet
            Codes and titles.
        columns : Columns
            The columns of a panel.

        Returns
        -------
        tuple of str

        Raises
        ------
        DataError
            If a text holds a line break, blanks at its ends, or the terminator: its end could not be told.

        Examples
        --------
        >>> ResumeTemplate(titles="code").outcome_texts(ChoiceSet([10], ["Clerk"]), Columns("year"))
        ('10',)
        """
        texts = choices.titles if self.titles == "text" else tuple(str(code) for code in choices.codes)
        mark = self.terminator(columns)
        for text in texts:
            if not is_single_line(text) or text != text.strip():
                raise DataError(f"the occupation {text!r} has a line break or blanks at its ends.")
            if mark in text:
                raise DataError(
                    f"the title {text!r} holds {mark!r}, the mark that follows every title in a résumé; give the "
                    "template details= that begin otherwise, or rename the title."
                )
        return texts

    def render(
        self,
        frame: pd.DataFrame,
        columns: Columns,
        starts: Sequence[int] | np.ndarray,
        choices: ChoiceSet,
        positions: Sequence[int] | np.ndarray,
    ) -> list[Resume]:
        r"""Text of the truncated résumé of every row: what is known just before its occupation.

        Parameters
        ----------
        frame : pandas.DataFrame
            One row per record, sorted by person and time.
        columns : Columns
            Which columns are shown, and in which role.
        starts : sequence of int
            Position of the first row of every person, ascending from 0.
        choices : ChoiceSet
            The occupations.
        positions : sequence of int
            Position of each row's occupation in the choice set.

        Returns
        -------
        list of Resume, one per row
            The last piece stops before the blank and the title of the row.

        Raises
        ------
        OptionError
            If the template does not fit the columns.
        DataError
            If a title or a value cannot be printed on one line, or the arrays do not fit together.

        Examples
        --------
        >>> frame = pd.DataFrame({"year": [1980, 1981]})
        >>> rows = ResumeTemplate(opening="").render(frame, Columns("year"), [0], ChoiceSet(["a"], ["Cook"]), [0, 0])
        >>> [row.text for row in rows]
        ['1980:', '1980: Cook\n1981:']
        """
        bounds, headers, stubs, lines = self._lines(frame, columns, starts, choices, positions)
        resumes = []
        for header, first, end in zip(headers, bounds[:-1], bounds[1:], strict=True):
            earlier = tuple(lines[first:end])
            resumes += [Resume(header, (*earlier[: row - first], stubs[row])) for row in range(first, end)]
        return resumes

    def render_full(
        self,
        frame: pd.DataFrame,
        columns: Columns,
        starts: Sequence[int] | np.ndarray,
        choices: ChoiceSet,
        positions: Sequence[int] | np.ndarray,
    ) -> list[str]:
        r"""Text of the full résumé of every person.

        Parameters
        ----------
        frame, columns, starts, choices, positions
            As in :meth:`render`.

        Returns
        -------
        list of str, one per person

        Raises
        ------
        OptionError, DataError
            As in :meth:`render`.

        Examples
        --------
        >>> frame = pd.DataFrame({"year": [1980, 1981]})
        >>> ResumeTemplate(opening="").render_full(frame, Columns("year"), [0], ChoiceSet(["a"], ["Cook"]), [0, 0])
        ['1980: Cook\n1981: Cook\nEnd of the career.\n']
        """
        bounds, headers, _, lines = self._lines(frame, columns, starts, choices, positions)
        end_line = self._line("closing")
        spans = zip(headers, bounds[:-1], bounds[1:], strict=True)
        return [header + "".join(lines[first:end]) + end_line for header, first, end in spans]

    def digest(self) -> str:
        """SHA-256 of the wording, as a key for caches.

        Returns
        -------
        str
            64 hexadecimal digits, equal for equal templates.

        Examples
        --------
        >>> ResumeTemplate().digest() == ResumeTemplate().digest() != ResumeTemplate(missing="?").digest()
        True
        """
        state = {part.name: _as_json(getattr(self, part.name)) for part in fields(self)}
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()

    def _pieces(self, columns: Columns) -> tuple[Pieces, Pieces, Pieces]:
        """Parsed person, record and details, with the defaults that depend on which columns there are."""
        person = parse_pieces("person", self.person)
        if not columns.static and any(name == "static" for _, name in person):
            person = ()
        default = "{time} ({dynamic}): {title}" if columns.dynamic else "{time}: {title}"
        record = default if self.record is None else self.record
        default = " [{lagged}]" if columns.lagged else ""
        details = default if self.details is None else self.details
        return person, parse_pieces("record", record), parse_pieces("details", details)

    def _line(self, option: str) -> str:
        """The opening or closing line with its line break; nothing if it is empty."""
        text = fill(parse_pieces(option, getattr(self, option)), {"dataset": [self.dataset]}, 1)[0]
        return text + "\n" if text else ""

    def _column_words(self, cells: pd.Series, column: Hashable, columns: Columns) -> list[str]:
        """Words of every cell: the template's own for the value, else the panel's, else by the general rules."""
        words = {**columns.value_words(column), **self.values.get(column, {})}
        return column_words(cells, words, self.missing)

    def _words(
        self, frame: pd.DataFrame, group: str, wanted: Sequence[Hashable], columns: Columns
    ) -> dict[str, list[str]]:
        """Words of each column of a group by its name, and all of them as one phrase by the name of the group."""
        fields_of: dict[str, list[str]] = {}
        phrases = []
        for column in wanted:
            name = self.names.get(column) or columns.label(column)
            if not is_single_line(name):
                raise DataError(f"the label {name!r} of column {column!r} has a line break; give words in names=.")
            words = self._column_words(frame[column], column, columns)
            fields_of[str(column)] = words
            phrases.append([f"{name}: {word}" for word in words])
        if phrases:
            fields_of[group] = ["; ".join(parts) for parts in zip(*phrases, strict=True)]
        return fields_of

    def _lines(
        self,
        frame: pd.DataFrame,
        columns: Columns,
        starts: Sequence[int] | np.ndarray,
        choices: ChoiceSet,
        positions: Sequence[int] | np.ndarray,
    ) -> tuple[list[int], list[str], list[str], list[str]]:
        """Bounds of persons, their headers, and per row the line up to its title and the whole line."""
        self.check(columns)
        check_columns(frame, columns.used, "résumé")
        rows = len(frame)
        first, where = np.asarray(starts, dtype=np.int64), np.asarray(positions, dtype=np.int64)
        _check_arrays(rows, first, where, len(choices))
        person, record, details = self._pieces(columns)
        outcomes = np.array([f" {text}" for text in self.outcome_texts(choices, columns)], dtype=object)

        static = self._words(frame.iloc[first], "static", columns.static, columns)
        headers = [self._line("opening") + (f"{text}\n" if text else "") for text in fill(person, static, len(first))]

        repeats = np.diff(np.append(first, rows))
        by_row = {name: np.repeat(np.array(words, dtype=object), repeats).tolist() for name, words in static.items()}
        known = by_row | self._words(frame, "dynamic", columns.dynamic, columns)
        known["time"] = self._column_words(frame[columns.time], columns.time, columns)
        # The blank before the title is cut off here and printed with the title.
        stubs = fill((*record[:-1], (record[-1][0][:-1], None)), known, rows)
        after = fill(details, self._words(frame, "lagged", columns.lagged, columns), rows)
        titles = outcomes[where].tolist()
        lines = [f"{stub}{title}{rest}\n" for stub, title, rest in zip(stubs, titles, after, strict=True)]
        return [*first.tolist(), rows], headers, stubs, lines


def _check_record(pieces: Pieces, text: str) -> None:
    names = [name for _, name in pieces if name is not None]
    if names.count("title") != 1:
        raise OptionError(f"record={text!r} must hold {{title}} exactly once; its fields are {listing(names)}.")
    if pieces[-1][1] != "title":
        raise OptionError(f"record={text!r} must end with {{title}}; what follows a title belongs into details=.")
    before = pieces[-1][0]
    if not before.endswith(" ") or before.endswith("  ") or (len(pieces) == 1 and not before.strip()):
        raise OptionError(f"record={text!r} must put some text and then exactly one blank before {{title}}.")
    if before[:-1] != before[:-1].rstrip():
        raise OptionError(f"record={text!r} must put exactly one blank, and no other white space, before {{title}}.")
    if not is_single_line(text):
        raise OptionError(f"record={text!r} has a line break; a record is one line.")
    if "lagged" in names:
        raise OptionError("record has the field {lagged}: lagged columns describe the job; print them in details=.")


def _check_details(pieces: Pieces, text: str) -> None:
    if not is_single_line(text):
        raise OptionError(f"details={text!r} has a line break; a record is one line.")
    if pieces and not pieces[0][0].strip():
        raise OptionError(f"details={text!r} must begin with a mark that ends the title, such as ' [{{lagged}}]'.")


def _fields(group: str, columns: Sequence[Hashable]) -> list[str]:
    """Fields that a group of columns fills: all of them as one phrase, and each by its name."""
    return [group, *map(str, columns)] if columns else []


def _refuse_lagged(option: str, pieces: Pieces, lagged: Sequence[str]) -> None:
    """A lagged column before the title would tell the job that is to be predicted."""
    for _, name in pieces:
        if name in lagged and name not in ("time", "dynamic", "static", "title"):
            raise OptionError(
                f"{option} shows {name!r}, a lagged column: it describes the job itself and is not known before it. "
                "Print it in details=, which only earlier records show."
            )


def _check_arrays(rows: int, starts: np.ndarray, positions: np.ndarray, outcomes: int) -> None:
    sound = (starts.size == 0) == (rows == 0) and (starts.size == 0 or (starts[0] == 0 and starts[-1] < rows))
    if not sound or (np.diff(starts) <= 0).any():
        raise DataError(f"starts must rise from 0 and stay below the {rows} rows of the frame.")
    if len(positions) != rows or (rows and not 0 <= positions.min() <= positions.max() < outcomes):
        raise DataError(f"positions must give one of {outcomes} occupations for each of the {rows} rows.")


def _check_word(what: str, text: object) -> None:
    if not isinstance(text, str) or not text.strip() or not is_single_line(text):
        raise OptionError(refusal(what, text, "not allowed", "give a text without line breaks"))
    if text != text.strip():
        raise OptionError(f"{what}={text!r} is not allowed: it has blanks at its ends.")


def _mapping(option: str, given: object) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(refusal(option, given, "not allowed", "give a mapping"))
    return given


def _checked_words(option: str, given: object) -> dict[Any, str]:
    """A copy of a mapping to words, with plain keys, so that 1, 1.0 and numpy's 1 are one value."""
    words = {plain(key): text for key, text in _mapping(option, given).items()}
    for key, text in words.items():
        _check_word(f"{option}[{key!r}]", text)
    return words


def _as_json(value: Any) -> Any:
    """Fields as JSON; keys go by repr, because 1 and "1" are two values."""
    if isinstance(value, Mapping):
        return sorted(([repr(key), _as_json(item)] for key, item in value.items()), key=lambda pair: str(pair[0]))
    return value
