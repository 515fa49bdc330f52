import pytest
from hypothesis import given
from hypothesis import strategies as st

from econllm.errors import OptionError
from econllm.tables.formats import check_format, format_value, interval, looks_numeric


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (None, ".3f", ""),
        (float("nan"), ".3f", "."),
        (float("inf"), ",d", "∞"),
        (float("-inf"), None, "-∞"),
        ("a,b", ".3f", "a,b"),
        (1.8e306, ".1%", "1.80e+306"),
        (3.2e44, ".4f", "3.20e+44"),
        (-3.2e44, ".1f", "-3.20e+44"),
        (9_999_999_999.0, ".1f", "9999999999.0"),
        (2e8, ".1%", "2.00e+08"),
        (1e12, ",d", "1,000,000,000,000"),
        (1e20, ".3g", "1e+20"),
        (1e30, "pvalue", "1.00e+30"),
        (True, None, "yes"),
        (1987, None, "1987"),
        (1987, ",d", "1,987"),
        (1987.0, ",d", "1,987"),
        (2.5, ",d", "2.500"),
        (-0.0001, ".2f", "0.00"),
        (-0.0001, ".1%", "0.0%"),
        (0.1234, ".1%", "12.3%"),
        (0.0, None, "0.000"),
        (-0.00004, None, "-4.0e-05"),
        (0.00099, "pvalue", "<0.001"),
        (0.001, "pvalue", "0.001"),
        (0.0, "pvalue", "<0.001"),
        (1.0, "pvalue", "1.000"),
    ],
)
def test_a_value_is_written_as_expected(value, spec, text):
    assert format_value(value, spec) == text


@given(st.floats(), st.sampled_from([None, ".3f", ".3g", ",d", ".1%", "pvalue", "+.2f", "n"]))
def test_every_float_can_be_written(value, spec):
    text = format_value(value, spec)
    assert text
    assert looks_numeric(text)


@pytest.mark.parametrize("spec", ["3 digits", ".", "s", 3, ""])
def test_wrong_formats_are_refused_by_name(spec):
    if spec == "":
        check_format(spec)
        return
    with pytest.raises(OptionError, match=r"p=.* is not a number format: give .* '.3f'"):
        check_format(spec, "p")


def test_intervals():
    assert interval(-1, 2.34, ".1f") == "[-1.0, 2.3]"
    assert interval(float("-inf"), float("nan")) == "[-∞, .]"
    assert interval(-1e44, 3.2e44) == "[-1.00e+44, 3.20e+44]"
    assert looks_numeric(interval(-1e44, 3.2e44))


@pytest.mark.parametrize("text", ["3rd", "a", "", "1980-87 wave", "-", "NaN", "e5", "1e"])
def test_prose_is_not_numeric(text):
    assert not looks_numeric(text)
