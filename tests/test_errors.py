import numpy as np
import pandas as pd
import pytest

from econllm import errors
from econllm.errors import (
    DataError,
    MissingColumnError,
    OptionError,
    check_columns,
    check_number,
    check_option,
    did_you_mean,
    listing,
)


def test_every_error_and_warning_has_a_common_base() -> None:
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert len(kinds) > 12
    for kind in kinds:
        base = errors.EconLLMWarning if issubclass(kind, Warning) else errors.EconLLMError
        assert issubclass(kind, base)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("OptionError", ValueError),
        ("DataError", ValueError),
        ("ModelNotFoundError", OSError),
    ],
)
def test_errors_are_also_of_the_builtin_kind(kind: str, builtin: type) -> None:
    assert issubclass(getattr(errors, kind), builtin)


def test_did_you_mean() -> None:
    assert did_you_mean("educc", ["exper", "educ"]) == " Did you mean 'educ'?"
    assert did_you_mean("zzz", ["exper", "educ"]) == ""
    assert did_you_mean("1011", [1010, 5]) == " Did you mean 1010?"
    assert did_you_mean("1011", np.array([1010, 5])) == " Did you mean 1010?"
    assert did_you_mean(0.51, [np.float64(0.5)]) == " Did you mean 0.5?"


def test_listing_shortens_and_shows_plain_numbers() -> None:
    assert listing(np.array([1, 2])) == "1, 2"
    assert listing(range(7)) == "0, 1, 2, 3, 4 (and 2 more)"
    assert listing([]) == ""
    assert listing([(np.int64(1), np.float64(0.5)), np.str_("a")]) == "(1, 0.5), 'a'"
    assert listing(np.array(["2000-01-01"], dtype="datetime64[ns]")) == "'2000-01-01T00:00:00.000000000'"


SECRET = pd.DataFrame({"wage": [12.5] * 30})


class CareerPanel:
    def __repr__(self) -> str:
        return "12.5"


@pytest.mark.parametrize("value", [SECRET, SECRET["wage"], CareerPanel(), SECRET.to_numpy(), [12.5], {"a": 12.5}])
def test_data_in_place_of_an_option_are_not_printed(value: object) -> None:
    for check in (lambda: check_option("penalty", value, ["l2", None]), lambda: check_number("penalty", value)):
        with pytest.raises(OptionError) as caught:
            check()
        message = str(caught.value)
        assert message.startswith(f"penalty is a {type(value).__name__}, which is not ")
        assert "12.5" not in message
        assert ("data go to fit()" in message) == (type(value).__name__ in ("DataFrame", "Series", "CareerPanel"))


def test_long_texts_and_numpy_scalars_in_messages() -> None:
    with pytest.raises(OptionError) as caught:
        check_option("penalty", "x" * 10_000, ["l2"])
    assert len(str(caught.value)) < 200
    with pytest.raises(OptionError, match=r"^alpha=-0\.5 is not allowed"):
        check_number("alpha", np.float64(-0.5), above=0)


def test_check_option_suggests_and_does_not_mix_types() -> None:
    check_option("pooling", "cls", ["mean", "cls"])
    with pytest.raises(
        OptionError, match=r"pooling='maen' is not an option: choose one of 'mean', 'cls'. Did you mean 'mean'"
    ):
        check_option("pooling", "maen", ["mean", "cls"])
    with pytest.raises(OptionError, match="order=True"):
        check_option("order", True, [1, 2])


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 1.5, -1, np.bool_(True)])
def test_check_number_refuses(value: object) -> None:
    with pytest.raises(OptionError, match=r"k=.* is not allowed: give a whole number of at least 0"):
        check_number("k", value, minimum=0, integer=True)


def test_check_number_takes_numpy_numbers_and_strict_bounds() -> None:
    check_number("k", np.int64(0), minimum=0, integer=True)
    check_number("alpha", np.float32(0.5), above=0)
    with pytest.raises(OptionError, match=r"alpha=0 is not allowed: give a finite number above 0"):
        check_number("alpha", 0, above=0)


def test_check_columns() -> None:
    df = pd.DataFrame([[1, 2, 3]], columns=["educ", "twice", "twice"])
    check_columns(df, ["educ"], "dynamic")
    with pytest.raises(
        MissingColumnError, match=r"dynamic column 'edu' is not in the data frame. Did you mean 'educ'\?"
    ):
        check_columns(df, ["edu"], "dynamic")
    with pytest.raises(DataError, match="'twice' occurs more than once"):
        check_columns(df, ["twice"], "dynamic")
