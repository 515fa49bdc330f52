"""Designs: blocks that stay sparse, codings that agree with patsy, and the same columns at prediction."""

import json
import re
import tracemalloc
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import patsy
import pytest
from formulaic import model_matrix
from handmade import ROLES
from scipy import sparse

from econllm.errors import DataError, FormulaError, UnseenLevelError
from econllm.formula import Design, DesignSpec
from econllm.panel import CareerPanel


@pytest.fixture
def df() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    return pd.DataFrame(
        {
            "y": rng.choice(["u", "v"], n),
            "x": rng.normal(size=n),
            "z": rng.uniform(1, 5, n),
            "a": rng.choice(["a1", "a2", "a3"], n),
            "b": rng.choice(["b1", "b2"], n),
            "c": rng.choice(["c1", "c2", "c3", "c4"], n),
            "k": rng.integers(0, 4, n),
            "flag": rng.random(n) < 0.5,
        }
    )


def dense(design: Design, intercept: bool = False) -> np.ndarray:
    parts = [np.ones((len(design), int(intercept and design.intercept)))]
    parts += [b.matrix.toarray() if sparse.issparse(b.matrix) else b.matrix for b in design.blocks]
    return np.hstack(parts)


# Blocks


def test_one_block_per_term_sparse_where_a_factor_takes_part(df: pd.DataFrame) -> None:
    design = DesignSpec.fit("y ~ x + a + C(k) + a:b + x:a + poly(z, 2) + x:z", df)[1]
    assert {b.name: (sparse.issparse(b.matrix), b.kind) for b in design.blocks} == {
        "x": (False, "numeric"),
        "a": (True, "factor"),
        "C(k)": (True, "factor"),
        "poly(z, 2)": (False, "numeric"),
        "a:b": (True, "factor"),
        "x:a": (True, "numeric"),
        "x:z": (False, "numeric"),
    }
    for b in design.blocks:
        assert b.matrix.shape == (60, len(b.columns))
        assert not sparse.issparse(b.matrix) or b.matrix.format == "csr"
    assert len(design.columns) == dense(design).shape[1] == len(set(design.columns))


def test_treatment_blocks_stay_sparse_too(df: pd.DataFrame) -> None:
    for term in ("a", "a:b", "x:a", "C(k, base=2)"):
        (block,) = DesignSpec.fit(f"y ~ {term}", df, full=False)[1].blocks
        assert sparse.issparse(block.matrix)
        assert block.matrix.format == "csr"


def test_bag_and_lags_of_a_panel_are_sparse(panel: CareerPanel) -> None:
    design = DesignSpec.fit("job ~ lag(job) + bag(job) + lag(job):lag(job, 2) + educ:lag(job)", panel)[1]
    assert all(sparse.issparse(b.matrix) and b.matrix.format == "csr" for b in design.blocks)


def test_interactions_by_hand() -> None:
    df = pd.DataFrame(
        {"y": list("uvuv"), "a": list("pqpq"), "b": list("ssrr"), "x": [1.0, 2, 3, 4], "z": [2.0, 2, 2, 5]}
    )
    design = DesignSpec.fit("y ~ a:b - 1", df)[1]
    assert design.columns == ("a[p]:b[r]", "a[p]:b[s]", "a[q]:b[r]", "a[q]:b[s]")
    np.testing.assert_array_equal(dense(design), np.eye(4)[[1, 3, 0, 2]])
    design = DesignSpec.fit("y ~ x:a - 1", df)[1]
    assert design.columns == ("x:a[p]", "x:a[q]")
    np.testing.assert_array_equal(dense(design), [[1, 0], [0, 2], [3, 0], [0, 4]])
    design = DesignSpec.fit("y ~ x:z - 1", df)[1]
    np.testing.assert_array_equal(dense(design).ravel(), [2, 4, 6, 20])
    design = DesignSpec.fit("y ~ a:x:b - 1", df)[1]
    np.testing.assert_array_equal(dense(design), np.eye(4)[[1, 3, 0, 2]] * df[["x"]].to_numpy())


def test_interactions_with_terms_of_several_columns(panel: CareerPanel) -> None:
    design = DesignSpec.fit("job ~ lag(wage):sex - 1", panel)[1]
    assert design.columns == (
        "lag(wage):sex[f]",
        "lag(wage):sex[m]",
        "lag(wage)[(none)]:sex[f]",
        "lag(wage)[(none)]:sex[m]",
    )
    np.testing.assert_array_equal(dense(design)[1], [5, 0, 0, 0])
    np.testing.assert_array_equal(dense(design)[4], [0, 0, 0, 1])


# Coding

FORMULAS = [
    "x",
    "a",
    "a + x",
    "a + b + C(k)",
    "a * b",
    "a:b",
    "a + a:b",
    "x + x:a",
    "x:a",
    "x * a * b",
    "a + b:c",
    "a * b + a:b:c",
    "a + b + a:b:c",
    "a + x:b + x:c",
    "a * x + np.log(z)",
    "flag * a",
    "a - 1",
    "a + b - 1",
    "a * b - 1",
    "a:b - 1",
    "x:a - 1",
    "x + a:b - 1",
    "x - 1",
    "C(k):x + C(k)",
]


@pytest.mark.parametrize("right", FORMULAS)
def test_treatment_coding_spans_what_patsy_and_formulaic_span(df: pd.DataFrame, right: str) -> None:
    design = DesignSpec.fit(f"y ~ {right}", df, full=False)[1]
    ours = dense(design, intercept=True)
    theirs = patsy.dmatrix(right, df, return_type="dataframe")
    other = model_matrix(right, df)
    assert ours.shape[1] == theirs.shape[1] == np.linalg.matrix_rank(ours) == other.shape[1]
    assert np.linalg.matrix_rank(np.hstack([ours, theirs])) == ours.shape[1]
    assert np.linalg.matrix_rank(np.hstack([ours, np.asarray(other, dtype=float)])) == ours.shape[1]
    assert design.intercept == ("Intercept" in theirs.columns)


def test_treatment_columns_are_those_of_patsy(df: pd.DataFrame) -> None:
    # Where the reference is the first level, the columns themselves agree and not only their span.
    design = DesignSpec.fit("y ~ a * b + x + flag", df, full=False)[1]
    ours = dict(zip(design.columns, dense(design).T, strict=True))
    theirs = patsy.dmatrix("a * b + x + flag", df, return_type="dataframe").drop(columns="Intercept")
    renamed = {name.replace("[T.", "["): theirs[name].to_numpy() for name in theirs}
    assert ours.keys() == renamed.keys()
    for name, column in ours.items():
        np.testing.assert_array_equal(column, renamed[name])


@pytest.mark.parametrize("right", ["a", "a + b", "a * b", "a:b", "a - 1", "x:a", "C(k) + a:x"])
def test_penalised_designs_keep_every_level(df: pd.DataFrame, right: str) -> None:
    design = DesignSpec.fit(f"y ~ {right}", df, full=True)[1]
    sizes = {"a": 3, "b": 2, "C(k)": 4, "x": 1, "a:b": 6, "x:a": 3, "a:x": 3}
    assert {b.name: len(b.columns) for b in design.blocks} == {b.name: sizes[b.name] for b in design.blocks}
    for b in design.blocks:
        if b.kind == "factor":
            np.testing.assert_array_equal(b.matrix.sum(axis=1), 1)


def test_base_levels(df: pd.DataFrame) -> None:
    design = DesignSpec.fit("y ~ C(k, base=2) + C(a, 'a3')", df, full=False)[1]
    assert design.columns == (*(f"C(k, base=2)[{i}]" for i in (0, 1, 3)), "C(a, 'a3')[a1]", "C(a, 'a3')[a2]")
    assert len(DesignSpec.fit("y ~ C(k, base=2)", df)[1].columns) == 4
    for full in (False, True):
        with pytest.raises(FormulaError, match=r"C\(a, 'a4'\): base 'a4' is not a level.* Levels: 'a1'"):
            DesignSpec.fit("y ~ C(a, 'a4')", df, full=full)


def test_names_of_levels_that_are_whole_floats() -> None:
    df = pd.DataFrame({"y": ["u", "v"], "year": [1980.0, 1981.0], "half": [0.5, 1.0]})
    assert DesignSpec.fit("y ~ C(year) + C(half)", df)[1].columns[:3] == (
        "C(year)[1980]",
        "C(year)[1981]",
        "C(half)[0.5]",
    )


def test_levels_without_rows_keep_their_columns(panel: CareerPanel) -> None:
    # Frozen levels: the part of one person has the columns of the whole panel.
    part = panel.subset([3])
    columns = DesignSpec.fit("job ~ region + C(educ) + C(year) + lag(job)", part)[1].columns
    assert columns == DesignSpec.fit("job ~ region + C(educ) + C(year) + lag(job)", panel)[1].columns
    # An expression is no column: its levels are its own.
    assert DesignSpec.fit("job ~ C(educ // 5)", panel)[1].columns == ("C(educ // 5)[2]", "C(educ // 5)[3]")


# Stateful transforms and prediction


@pytest.mark.parametrize(
    "term", ["poly(z, 3)", "bs(z, df=5)", "scale(z)", "center(z)", "standardize(z)", "scale(np.log(z))", "cr(z, df=3)"]
)
def test_prediction_uses_the_basis_of_the_estimation(df: pd.DataFrame, term: str) -> None:
    spec, design = DesignSpec.fit(f"y ~ {term} + x", df)
    for rows in ([3], [5, 1, 9], range(10)):
        again = spec.build(df.iloc[list(rows)])
        assert again.columns == design.columns
        np.testing.assert_allclose(dense(again), dense(design)[list(rows)], atol=1e-12)
    # Fitted on the part alone, the basis would be another one.
    alone = DesignSpec.fit(f"y ~ {term} + x", df.iloc[:30])[1]
    assert np.abs(dense(alone) - dense(design)[:30]).max() > 1e-3


def test_building_the_same_data_twice_changes_nothing(df: pd.DataFrame) -> None:
    spec, design = DesignSpec.fit("y ~ poly(z, 2) + a:x + scale(x)", df)
    state = repr(spec.state)
    spec.build(df.iloc[:5])
    assert repr(spec.state) == state
    np.testing.assert_array_equal(dense(spec.build(df)), dense(design))


def test_transforms_pass_over_missing_values(df: pd.DataFrame) -> None:
    df.loc[3, "z"] = np.nan
    there = df.drop(index=3)
    for term in ("scale(z)", "center(z)", "poly(z, 2)", "standardize(z)"):
        design = DesignSpec.fit(f"y ~ {term}", df, missing="drop")[1]
        assert np.flatnonzero(~design.kept).tolist() == [3]
        np.testing.assert_allclose(dense(design), dense(DesignSpec.fit(f"y ~ {term}", there)[1]), atol=1e-12)
        with pytest.raises(DataError, match=r"in 1 of 60 rows"):
            DesignSpec.fit(f"y ~ {term}", df)


def test_a_column_named_as_a_function(df: pd.DataFrame) -> None:
    df = df.rename(columns={"z": "scale"})
    design = DesignSpec.fit("y ~ scale + scale(x)", df)[1]
    np.testing.assert_array_equal(dense(design)[:, 0], df["scale"])
    assert dense(design)[:, 1].std(ddof=1) == pytest.approx(1)


def test_quoted_names(df: pd.DataFrame) -> None:
    df = df.rename(columns={"z": "hourly wage"})
    spec, design = DesignSpec.fit("y ~ `hourly wage` + np.log(`hourly wage`)", df)
    np.testing.assert_allclose(dense(design)[:, 1], np.log(df["hourly wage"]))
    np.testing.assert_allclose(dense(spec.build(df.iloc[:4])), dense(design)[:4])


def test_expressions_that_give_categories(df: pd.DataFrame) -> None:
    for term in ("np.where(x > 0, 'high', 'low')", "{x > 0}", "a.str.upper()"):
        (block,) = DesignSpec.fit(f"y ~ {term}", df)[1].blocks
        assert block.kind == "factor"
        assert block.matrix.shape[1] == (3 if "upper" in term else 2)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int8"])
def test_numbers_of_every_type(df: pd.DataFrame, dtype: str) -> None:
    df["n"] = pd.Series(np.arange(60) % 7, dtype=dtype)
    design = DesignSpec.fit("y ~ n", df)[1]
    assert design.blocks[0].matrix.dtype == np.float64
    np.testing.assert_array_equal(dense(design).ravel(), np.arange(60) % 7)
    if dtype in {"Int64", "Float64"}:
        df.loc[0, "n"] = pd.NA
        with pytest.raises(DataError, match="missing values: n in 1 of 60 rows"):
            DesignSpec.fit("y ~ n", df)


# What is refused


def test_unseen_levels_are_counted(df: pd.DataFrame) -> None:
    spec, _ = DesignSpec.fit("y ~ a + C(k)", df)
    new = df.head(5).copy()
    new.loc[[1, 3], "a"] = ["a11", "a11"]
    with pytest.raises(
        UnseenLevelError,
        match=r"a: 2 rows have a level that the model never saw: 'a11'.*Its levels are 'a1', 'a2', 'a3'",
    ):
        spec.build(new)
    with pytest.raises(UnseenLevelError, match=r"C\(k\): 5 rows have a level that the model never saw: 99"):
        spec.build(df.head(5).assign(k=99))


def test_a_level_that_only_the_type_declares_is_no_unseen_level(df: pd.DataFrame) -> None:
    spec, design = DesignSpec.fit("y ~ a", df)
    new = df.assign(a=pd.Categorical(df["a"], categories=["zz", "a3", "a1", "a2"]))
    np.testing.assert_array_equal(dense(spec.build(new)), dense(design))


def test_unseen_occupations_in_lag_and_bag(panel: CareerPanel) -> None:
    small = CareerPanel(panel.to_frame().query("job != 'nurse'"), **ROLES)
    spec, design = DesignSpec.fit("job ~ lag(job) + bag(job)", small)
    assert len(design.columns) == 3 + 2
    later = panel.to_frame()
    later.loc["b", "job"] = "nurse"
    with pytest.raises(UnseenLevelError, match=r"lag\(job\): 1 rows have a level that the model never saw: 'nurse'"):
        spec.build(CareerPanel(later, **ROLES))
    bag_only, _ = DesignSpec.fit("job ~ bag(job)", small)
    with pytest.raises(UnseenLevelError, match=r"bag\(job\): 2 rows have levels that the model never saw: '\[nurse\]'"):
        bag_only.build(CareerPanel(later, **ROLES))


def test_a_panel_with_fewer_or_reordered_choices_gets_the_columns_of_the_estimation(panel: CareerPanel) -> None:
    spec, design = DesignSpec.fit("job ~ lag(job) + bag(job)", panel)
    titles = {"nurse": "N", "cook": "K", "clerk": "C"}
    other = CareerPanel(panel.to_frame(), **ROLES, titles=titles)
    assert other.choices.codes != panel.choices.codes
    np.testing.assert_array_equal(dense(spec.build(other)), dense(design))
    part = CareerPanel(panel.to_frame().loc[list("efg")], **ROLES)
    np.testing.assert_array_equal(dense(spec.build(part)), dense(design)[4:7])


def test_types_that_change_between_estimation_and_prediction(df: pd.DataFrame) -> None:
    spec, _ = DesignSpec.fit("y ~ a + x", df)
    with pytest.raises(DataError, match="a held categories at estimation and holds numbers now"):
        spec.build(df.assign(a=1.0))
    with pytest.raises(DataError, match="x held numbers at estimation and holds categories now"):
        spec.build(df.assign(x=df["x"].astype(str)))


def test_missing_values_are_counted_or_dropped(df: pd.DataFrame) -> None:
    df.loc[[1, 2], "x"] = np.nan
    df.loc[[2, 7, 9], "a"] = None
    with pytest.raises(
        DataError, match=r"missing values: x in 2, a in 3 of 60 rows. Fill them, drop them, or set missing='drop'"
    ):
        DesignSpec.fit("y ~ x + a + b", df)
    spec, design = DesignSpec.fit("y ~ x + a + b", df, missing="drop")
    assert np.flatnonzero(~design.kept).tolist() == [1, 2, 7, 9]
    assert len(design) == 56 == dense(design).shape[0]
    np.testing.assert_array_equal(dense(design)[:, 0], df["x"].drop(index=[1, 2, 7, 9]))
    assert spec.build(df.head(3)).kept.tolist() == [True, False, False]


@pytest.mark.parametrize("term", ["I(x > 1)", "np.select([x > 1], [1.0])", "a.isin(['a1'])", "a == 'a1'", "C(x > 1)"])
def test_an_expression_does_not_hide_missing_values(df: pd.DataFrame, term: str) -> None:
    df.loc[[1, 2], ["x", "a"]] = np.nan
    with pytest.raises(DataError, match=rf"missing values: {re.escape(term)} in 2 of 60 rows"):
        DesignSpec.fit(f"y ~ {{{term}}}" if "==" in term else f"y ~ {term}", df)
    design = DesignSpec.fit(f"y ~ I({term})", df, missing="drop")[1]
    assert np.flatnonzero(~design.kept).tolist() == [1, 2]


def test_an_expression_may_treat_missing_values_itself(df: pd.DataFrame, panel: CareerPanel) -> None:
    df.loc[[1, 2], "x"] = np.nan
    design = DesignSpec.fit("y ~ x.fillna(0) + I(x.isna()) + np.isnan(x) + np.nan_to_num(x)", df)[1]
    assert design.kept.all()
    frame = panel.to_frame()
    frame.loc["d", "educ"] = np.nan
    with pytest.raises(DataError, match=r"missing values: I\(educ > 12\) in 1 of 8 rows"):
        DesignSpec.fit("job ~ I(educ > 12)", CareerPanel(frame, **ROLES))
    # Of records that only serve as history nothing is missing.
    late = CareerPanel(frame, **ROLES).split_time(2002)[1]
    assert DesignSpec.fit("job ~ I(educ > 12)", late)[1].kept.all()


def test_complex_numbers_are_refused(df: pd.DataFrame) -> None:
    for term in ("x", "scale(x)", "x * 2", "np.asarray(x)"):
        with pytest.raises(FormulaError, match="holds complex numbers; give real ones"):
            DesignSpec.fit(f"y ~ I({term})", df.assign(x=df["x"] + 1j))


def test_numbers_in_a_column_of_objects(df: pd.DataFrame) -> None:
    expected = dense(DesignSpec.fit("y ~ x + np.exp(x) + C(k)", df)[1])
    df["x"], df["k"] = df["x"].astype(object), df["k"].map(Decimal).astype(object)
    design = DesignSpec.fit("y ~ x + np.exp(x) + C(k)", df)[1]
    assert design.columns[:3] == ("x", "np.exp(x)", "C(k)[0]")
    np.testing.assert_array_equal(dense(design), expected)
    df.loc[3, "x"] = None
    with pytest.raises(DataError, match="missing values: x in 1 of 60 rows"):
        DesignSpec.fit("y ~ x", df)


@pytest.mark.parametrize("kind", ["datetime", "period", "timedelta", "date"])
def test_dates_are_no_regressors_but_may_be_categories(df: pd.DataFrame, kind: str) -> None:
    day = pd.to_datetime((2000 + df["k"]).astype(str), format="%Y")
    kinds = {"period": day.dt.to_period("M"), "timedelta": day - day.min(), "date": day.dt.date}
    df["day"] = kinds.get(kind, day)
    for term in ("day", "I(day)"):
        with pytest.raises(FormulaError, match=r"holds dates; use numbers such as the year .* or C\("):
            DesignSpec.fit(f"y ~ {term}", df)
    spec, design = DesignSpec.fit("y ~ C(day)", df)
    assert len(design.columns) == 4
    assert all(isinstance(level, str) for level in spec.levels["C(day)"])
    other = DesignSpec.from_state(json.loads(json.dumps(spec.to_state())))
    np.testing.assert_array_equal(dense(other.build(df.head(9))), dense(design)[:9])


def test_intervals_become_text_levels_that_can_be_saved(df: pd.DataFrame, careers: pd.DataFrame) -> None:
    df["band"] = pd.cut(df["z"], [1, 2, 5])
    careers["band"] = pd.cut(careers["wage"], [0, 5, 10])
    panel = CareerPanel(careers, **{**ROLES, "lagged": ["band"]})
    for formula, data in (("y ~ band", df), ("y ~ C(band)", df), ("job ~ lag(band)", panel)):
        spec, design = DesignSpec.fit(formula, data, full=False)
        other = DesignSpec.from_state(json.loads(json.dumps(spec.to_state())))
        np.testing.assert_array_equal(dense(other.build(data)), dense(design))
    assert design.columns == ("lag(band)[(0, 5]]", "lag(band)[(5, 10]]")


@pytest.mark.parametrize(("term", "count"), [("x", 2), ("np.log(w)", 1), ("x:a", 2)])
def test_values_that_are_not_finite(df: pd.DataFrame, term: str, count: int) -> None:
    df["w"] = 1.0
    df.loc[3, "w"] = 0.0
    df.loc[[0, 1], "x"] = [np.inf, -np.inf]
    with pytest.raises(DataError, match=rf"holds {count} values that are not finite"):
        DesignSpec.fit(f"y ~ {term}", df)


def test_columns_that_are_no_categories(df: pd.DataFrame) -> None:
    df["lists"] = [[1], [2]] * 30
    with pytest.raises(FormulaError, match="column 'lists' cannot be read as categories: unhashable type"):
        DesignSpec.fit("y ~ lists", df)


# Saving


def test_state_goes_through_json(df: pd.DataFrame, panel: CareerPanel) -> None:
    cases = [
        ("y ~ a * x + C(k) + flag", df, df.iloc[[4, 2]]),
        ("job ~ lag(job) + bag(job) + C(educ) + lag(C(educ)) + region + gap()", panel, panel.subset([2])),
    ]
    for formula, data, new in cases:
        for full in (True, False):
            spec, _ = DesignSpec.fit(formula, data, full=full)
            other = DesignSpec.from_state(json.loads(json.dumps(spec.to_state())))
            assert other.build(new).columns == spec.build(new).columns
            np.testing.assert_array_equal(dense(other.build(new)), dense(spec.build(new)))
            assert other.missing == "raise"


def test_state_of_transforms(df: pd.DataFrame) -> None:
    spec, design = DesignSpec.fit("y ~ poly(z, 2) + scale(x)", df, missing="drop")
    other = DesignSpec.from_state(spec.to_state())
    assert other.missing == "drop"
    np.testing.assert_allclose(dense(other.build(df.iloc[:5])), dense(design)[:5], atol=1e-12)


def test_objects_of_the_caller_cannot_be_saved(df: pd.DataFrame) -> None:
    spec, design = DesignSpec.fit("y ~ double(x)", df, context={"double": lambda x: 2 * x})
    np.testing.assert_allclose(dense(design).ravel(), 2 * df["x"])
    np.testing.assert_allclose(dense(spec.build(df.iloc[:2])), dense(design)[:2])
    with pytest.raises(FormulaError, match="uses the caller's 'double' cannot be saved"):
        spec.to_state()


# Text


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for encoders: a text is the vector of its length and its counts of letters; calls are counted."""
    from econllm.encoders import Encoding, check_texts

    calls: list[int] = []

    @dataclass(frozen=True)
    class Letters:
        model: str = "letters"
        dtype: str = "auto"
        weights_sha256: str = "0"

        def encode(self, texts) -> Encoding:
            plain = [getattr(t, "text", t) for t in check_texts(texts)]
            calls.append(len(plain))
            vectors = np.array([[len(t), *(t.count(c) for c in "aeio")] for t in plain], dtype=np.float32)
            return Encoding(vectors, np.array([len(t) > 200 for t in plain]), "float32", 256)

    monkeypatch.setattr("econllm.encoders.resolve_encoder", lambda model: Letters())
    return calls


def test_embed_is_one_dense_term_of_many_columns(panel: CareerPanel, letters: list[int]) -> None:
    spec, design = DesignSpec.fit("job ~ embed(resume) + educ", panel)
    assert [b.name for b in design.blocks] == ["embed(resume)", "educ"]
    assert design.blocks[0].columns == tuple(f"embed(resume)[{i}]" for i in range(5))
    assert design.blocks[0].matrix[:, 0].tolist() == [len(r.text) for r in panel.resumes()]
    assert design.truncated == pytest.approx(np.mean([len(r.text) > 200 for r in panel.resumes()]))
    assert letters == [8]
    # Of records that only serve as history nothing is encoded.
    late = panel.split_time(2001)[1]
    np.testing.assert_array_equal(spec.build(late).blocks[0].matrix, design.blocks[0].matrix[[3, 6]])
    assert letters == [8, 2]


def test_embed_remembers_its_components(panel: CareerPanel, letters: list[int]) -> None:
    spec, design = DesignSpec.fit("job ~ embed(resume, components=2)", panel)
    assert design.blocks[0].matrix.shape == (8, 2)
    other = DesignSpec.from_state(spec.to_state())
    for built in (spec.build(panel.subset([2])), other.build(panel.subset([2]))):
        np.testing.assert_allclose(built.blocks[0].matrix, design.blocks[0].matrix[4:7], atol=1e-5)


def test_embed_of_text_columns(careers: pd.DataFrame, panel: CareerPanel, letters: list[int]) -> None:
    frame = careers.assign(y=careers["job"])
    on_frame = DesignSpec.fit("y ~ embed(region)", frame)[1]
    on_panel = DesignSpec.fit("job ~ embed(region)", panel)[1]
    place = careers.index.get_indexer(panel.index)
    np.testing.assert_array_equal(on_frame.blocks[0].matrix[place], on_panel.blocks[0].matrix)
    with pytest.raises(DataError, match="educ"):
        DesignSpec.fit("y ~ embed(educ)", frame)
    frame.loc["b", "region"] = None
    with pytest.raises(DataError, match=r"missing values: embed\(region\) in 1 of 8 rows"):
        DesignSpec.fit("y ~ embed(region)", frame)
    letters.clear()
    spec, design = DesignSpec.fit("y ~ embed(region, components=2)", frame, missing="drop")
    assert letters == [7]
    assert frame.index[~design.kept].tolist() == ["b"]
    np.testing.assert_allclose(spec.build(frame.loc[["c"]]).blocks[0].matrix, design.blocks[0].matrix[[1]], atol=1e-5)
    # Of a panel too, whose text columns are categories.
    gaps = CareerPanel(frame, **ROLES)
    assert gaps.index[~DesignSpec.fit("job ~ embed(region)", gaps, missing="drop")[1].kept].tolist() == ["b"]
    with pytest.raises(DataError, match="text column 'region': there are no texts"):
        DesignSpec.fit("y ~ embed(region)", frame.assign(region=None).astype({"region": object}), missing="drop")


def test_another_wording_at_prediction_is_refused(panel: CareerPanel, letters: list[int]) -> None:
    from econllm.text import ResumeTemplate

    spec, _ = DesignSpec.fit("job ~ embed(resume)", panel)
    other = CareerPanel(panel.to_frame(), **ROLES, template=ResumeTemplate(titles="code"))
    with pytest.raises(DataError, match="words its résumés by another template than the one of the estimation"):
        spec.build(other)


@pytest.mark.shared
def test_two_lags_of_338_occupations_stay_sparse(nlsy97: CareerPanel) -> None:
    train = nlsy97.split([0.7, 0.1, 0.2], seed=0)[0]
    formula = (
        "occupation ~ lag(occupation) + lag(occupation, 2) + C(year) + C(birth_year) + sex + race + region + education"
    )
    tracemalloc.start()
    design = DesignSpec.fit(formula, train)[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(design) == 110_654
    assert len(design.columns) == 727
    assert all(sparse.issparse(b.matrix) and b.matrix.format == "csr" for b in design.blocks)
    for b in design.blocks:
        np.testing.assert_array_equal(np.diff(b.matrix.indptr), 1)
    assert sum(b.matrix.nnz for b in design.blocks) == 8 * 110_654
    # One dense lag alone would take 110,654 * 339 * 8 bytes = 300 MB.
    assert peak < 150e6


def test_without_a_penalty_a_frozen_level_that_never_occurred_is_refused_at_prediction(panel: CareerPanel) -> None:
    early, late = panel.split_time(2000)
    formula = "job ~ C(year)"
    spec, design = DesignSpec.fit(formula, early, full=False)
    assert all(block.matrix.sum(axis=0).min() > 0 for block in design.blocks)
    with pytest.raises(UnseenLevelError, match=r"C\(year\): \d+ rows have a level that the model never saw: 2001"):
        spec.build(late)
    # With a penalty the frozen levels have coefficients, at zero.
    full, _ = DesignSpec.fit(formula, early, full=True)
    assert full.build(late).columns == DesignSpec.fit(formula, panel, full=True)[1].columns
