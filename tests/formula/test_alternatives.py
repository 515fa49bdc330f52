"""Right of the bar: what varies over outcomes, by hand, on real careers, and against conditional logit elsewhere."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from handmade import CAREERS, ROLES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from econllm.choices import ChoiceSet
from econllm.errors import DataError, FormulaError, LeakageError, MissingColumnError, OptionError, UnseenLevelError
from econllm.formula import parse
from econllm.formula.alternatives import Alternatives, AlternativesSpec
from econllm.formula.by_outcome import known_utilities, patterns, read_choice_sets, read_offset
from econllm.formula.lookup import Lookup
from econllm.panel import CareerPanel

JOBS = ("clerk", "cook", "nurse")
MODES = ChoiceSet(["bus", "car", "train"])


def fit(formula: str, data, choices: ChoiceSet | None = None, **options) -> Alternatives:
    return AlternativesSpec.fit(parse(formula), data, choices or data.choices, **options)[1]


def values(found: Alternatives, name: str) -> np.ndarray:
    return found.lookups[found.names.index(name)].values()


@pytest.fixture
def trips() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 40
    df = pd.DataFrame(
        {
            "mode": rng.choice(MODES.codes, n),
            "income": rng.uniform(1, 3, n),
            "sex": rng.choice(["f", "m"], n),
            "k": rng.integers(0, 3, n),
            "young": rng.random(n) < 0.5,
        }
    )
    for code in MODES.codes:
        df[f"price[{code}]"] = rng.uniform(0.5, 4, n)
        df[f"hourly time[{code}]"] = rng.integers(1, 4, n)
    return df


@pytest.fixture
def with_wages() -> CareerPanel:
    """The handmade careers with what each job pays in each year, and commuting by person."""
    df = CAREERS.copy()
    for j, job in enumerate(JOBS):
        df[f"pay[{job}]"] = df["year"] - 1998 + 0.5 * j
        df[f"way[{job}]"] = df["id"] * (j + 1)
    return CareerPanel(df, **{**ROLES, "static": ["sex", "way[alt]"], "dynamic": ["educ", "region", "pay[alt]"]})


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for encoders: similarity is the share of letters in common; calls are listed."""
    calls: list[list[str]] = []

    @dataclass(frozen=True)
    class Letters:
        weights_sha256: str = "abc"

    def cosines(a: list[str], b: list[str], encoder: Letters) -> np.ndarray:
        assert isinstance(encoder, Letters)
        calls.append(list(a))
        return np.array([[len(set(x) & set(y)) / len(set(x) | set(y)) for y in b] for x in a])

    monkeypatch.setattr("econllm.encoders.resolve_encoder", lambda model: Letters())
    monkeypatch.setattr("econllm.encoders.similarity", cosines)
    return calls


# stay() and similarity()


def test_stay_is_one_for_the_last_occupation(panel: CareerPanel) -> None:
    assert panel.choices.codes == JOBS
    found = fit("job ~ 1 | stay()", panel)
    assert (found.names, found.terms) == (("stay()",), ("stay()",))
    none, clerk, cook = [0, 0, 0], [1, 0, 0], [0, 1, 0]
    assert values(found, "stay()").tolist() == [none, cook, clerk, clerk, none, clerk, cook, none]
    assert found.kept.all()


def test_history_that_is_not_predicted_is_still_looked_at(panel: CareerPanel) -> None:
    late = panel.split_time(2001)[1]
    assert values(fit("job ~ 1 | stay()", late), "stay()").tolist() == [[1, 0, 0], [0, 1, 0]]


def test_resampled_persons_do_not_run_into_each_other(wage_panel: CareerPanel) -> None:
    drawn = wage_panel.resample(seed=3)
    (lookup,) = fit("occupation ~ 1 | stay()", drawn).lookups
    expected = np.zeros((len(drawn), 9))
    last = np.roll(drawn.outcome, 1)
    rows = np.flatnonzero(~drawn.is_first)
    expected[rows, last[rows]] = 1
    np.testing.assert_array_equal(lookup.values(), expected)
    assert len(lookup.table) == 10


def test_choices_in_another_order_than_the_panels(panel: CareerPanel) -> None:
    other = ChoiceSet(["nurse", "pilot", "cook", "clerk"])
    found = values(fit("job ~ 1 | stay()", panel, other), "stay()")
    np.testing.assert_array_equal(found[:, [3, 2, 0]], values(fit("job ~ 1 | stay()", panel), "stay()"))
    assert not found[:, 1].any()
    with pytest.raises(UnseenLevelError, match=r"3 rows have a last occupation that is not in .* choice set: 'clerk'"):
        fit("job ~ 1 | stay()", panel, ChoiceSet(["nurse", "cook"]))


def test_similarity_is_a_small_table_that_is_remembered(panel: CareerPanel, letters: list[list[str]]) -> None:
    spec, found = AlternativesSpec.fit(parse('job ~ 1 | stay() + similarity("title")'), panel, panel.choices)
    assert letters == [["clerk", "cook", "nurse"]]
    name = "similarity('title')"
    lookup = found.lookups[found.names.index(name)]
    assert len(lookup.table) <= 4
    now = lookup.values()
    assert not now[[0, 4, 7]].any()
    # clerk to cook: c and k of c, l, e, r, k, o; the same title is 1, and stay() takes it up.
    np.testing.assert_allclose(now[2], [1, 2 / 6, 2 / 8])
    np.testing.assert_allclose(now[1], [2 / 6, 1, 0])
    # Prediction needs no encoder, not even after a journey through a file.
    content = spec.to_state()
    assert content["tables"][name]["weights"] == "abc"
    for again in (spec, AlternativesSpec.from_state(content, panel.choices)):
        late = again.build(panel.split_time(2001)[1])
        np.testing.assert_array_equal(values(late, name), now[[3, 6]])
    assert len(letters) == 1


def test_arguments_of_the_career_terms(panel: CareerPanel, letters: list[list[str]]) -> None:
    for text, error, message in [
        ("stay(1)", FormulaError, r"stay\(1\) has arguments; write stay\(\)"),
        ("similarity('titles')", OptionError, r"similarity\(\)='titles' is not an option.* Did you mean 'title'"),
        ("similarity('title', modle='x')", FormulaError, "cannot be evaluated: .*unexpected keyword"),
        ("similarity(title)", MissingColumnError, "formula uses 'title', which is no column"),
    ]:
        with pytest.raises(error, match=message):
            fit(f"job ~ 1 | {text}", panel)
    with pytest.raises(FormulaError, match=r"stay\(\) looks back in a career.* give a CareerPanel"):
        fit("job ~ 1 | stay()", CAREERS, ChoiceSet(JOBS))


@pytest.mark.slow
def test_similarity_of_titles_by_the_default_encoder(wage_panel: CareerPanel) -> None:
    from econllm.encoders import similarity

    titles = wage_panel.choices.titles
    found = fit('occupation ~ 1 | similarity("title", model="minilm")', wage_panel).lookups[0].values()
    last, rows = np.roll(wage_panel.outcome, 1), ~wage_panel.is_first
    np.testing.assert_allclose(found[rows], similarity(titles, titles)[last[rows]], atol=1e-6)


# Columns by outcome


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("price[alt]", lambda p, t, d: p),
        ("`hourly time`[alt]", lambda p, t, d: t),
        ("np.log(price[alt])", lambda p, t, d: np.log(p)),
        ("log(`hourly time`[alt])", lambda p, t, d: np.log(t)),
        ("I(price[alt] / income)", lambda p, t, d: p / d.income.to_numpy()[:, None]),
        ("I(price[alt] * `hourly time`[alt] ** 2)", lambda p, t, d: p * t**2),
        ("np.where(price[alt] > 2, price[alt], 0)", lambda p, t, d: np.where(p > 2, p, 0)),
        ("I(price[alt] * (sex == 'f'))", lambda p, t, d: p * (d.sex == "f").to_numpy()[:, None]),
        ("I(price[alt] * young)", lambda p, t, d: p * d.young.to_numpy()[:, None]),
        ("np.maximum(price[alt], income)", lambda p, t, d: np.maximum(p, d.income.to_numpy()[:, None])),
        ("price[alt]:income", lambda p, t, d: p * d.income.to_numpy()[:, None]),
        ("price[alt]:`hourly time`[alt]", lambda p, t, d: p * t),
        ("price[alt]:np.log(income):`hourly time`[alt]", lambda p, t, d: p * t * np.log(d.income.to_numpy())[:, None]),
        ("twice(price[alt])", lambda p, t, d: 2 * p),
    ],
)
def test_expressions_by_row_and_outcome(trips: pd.DataFrame, term: str, expected) -> None:
    p = trips[[f"price[{c}]" for c in MODES.codes]].to_numpy()
    t = trips[[f"hourly time[{c}]" for c in MODES.codes]].to_numpy()
    found = fit(f"mode ~ 1 | {term}", trips, MODES, context={"twice": lambda x: 2 * x})
    np.testing.assert_allclose(found.lookups[0].values(), expected(p, t, trips), rtol=1e-14)
    assert found.names == (term.replace("`", ""),) or "(" in term


def test_rows_that_are_alike_share_a_pattern(wage_panel: CareerPanel) -> None:
    df = wage_panel.to_frame()
    for code in wage_panel.choices.codes:
        df[f"pay[{code}]"] = (df["year"] - 1979) * np.sqrt(code)
    panel = CareerPanel(df, "nr", "year", "occupation", dynamic=["pay[alt]"])
    found = fit("occupation ~ 1 | pay[alt] + stay() + np.log(pay[alt]) + stay():C(year) + I(stay() * pay[alt])", panel)
    sizes = {name: len(lookup.table) for name, lookup in zip(found.names, found.lookups, strict=True)}
    assert (sizes["pay[alt]"], sizes["stay()"], sizes["np.log(pay[alt])"]) == (8, 10, 8)
    assert sizes["stay():C(year)[1983]"] <= 10
    assert sizes["I(stay() * pay[alt])"] <= 80
    pay = values(found, "pay[alt]")
    np.testing.assert_allclose(pay[:, 3], (panel.times - 1979) * 2)
    np.testing.assert_allclose(values(found, "I(stay() * pay[alt])"), values(found, "stay()") * pay)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.5, np.nan]), st.integers(0, 2), st.sampled_from("ab")), max_size=30))
def test_patterns_are_exact(rows: list[tuple[float, int, str]]) -> None:
    columns = [np.array([row[i] for row in rows], dtype=kind) for i, kind in enumerate((float, np.int64, object))]
    codes, first = patterns(columns)
    assert len(codes) == len(rows)
    assert len(first) == len({tuple(map(str, row)) for row in rows})
    for column in columns:
        again = column[first][codes]
        assert ((again == column) | (pd.isna(again) & pd.isna(column))).all()


# Interactions with what belongs to the row


def test_factors_of_the_row_lose_a_level_that_an_earlier_term_spans(trips: pd.DataFrame) -> None:
    assert fit("mode ~ 1 | price[alt]:sex", trips, MODES).names == ("price[alt]:sex[f]", "price[alt]:sex[m]")
    both = fit("mode ~ 1 | price[alt] + price[alt]:sex + price[alt]:C(k, base=1)", trips, MODES)
    assert both.names == (
        "price[alt]",
        "price[alt]:sex[m]",
        "price[alt]:C(k, base=1)[0]",
        "price[alt]:C(k, base=1)[2]",
    )
    assert both.terms == ("price[alt]", "price[alt]:sex", *["price[alt]:C(k, base=1)"] * 2)
    man = (trips["sex"] == "m").to_numpy()[:, None]
    np.testing.assert_array_equal(values(both, "price[alt]:sex[m]"), values(both, "price[alt]") * man)
    with pytest.raises(FormulaError, match="base 7 is not a level"):
        fit("mode ~ 1 | price[alt] + price[alt]:C(k, base=7)", trips, MODES)


def test_an_occupations_own_stay_is_identified(wage_panel: CareerPanel) -> None:
    found = fit("occupation ~ 1 | stay() + stay():lag(occupation) + stay():lag(union)", wage_panel)
    # stay() is zero without a history, so the level "(none)" has no column and cannot be the reference.
    assert found.names == (
        "stay()",
        *(f"stay():lag(occupation)[{code}]" for code in range(2, 10)),
        "stay():lag(union)",
    )
    cells = np.column_stack([lookup.values().ravel() for lookup in found.lookups])
    assert np.linalg.matrix_rank(cells) == len(found.names)
    # The same columns where the first level happens not to occur.
    spec = AlternativesSpec.fit(
        parse("occupation ~ 1 | stay() + stay():lag(occupation)"), wage_panel, wage_panel.choices
    )
    few = wage_panel.subset(wage_panel.persons[:2])
    assert spec[0].build(few).names == spec[1].names


def test_spell_length_times_stay(panel: CareerPanel) -> None:
    found = fit("job ~ 1 | stay():years_in(job)", panel)
    np.testing.assert_array_equal(found.lookups[0].values().max(axis=1), [0, 1, 1, 2, 0, 1, 1, 0])


def test_terms_that_never_vary_are_refused(trips: pd.DataFrame, panel: CareerPanel) -> None:
    for code in MODES.codes:
        trips[f"fee[{code}]"] = trips["income"]
    with pytest.raises(DataError, match=r"fee\[alt\] is the same for all outcomes in every row, .* cancels out"):
        fit("mode ~ 1 | price[alt] + fee[alt]", trips, MODES)
    with pytest.raises(DataError, match=r"stay\(\) is the same for all outcomes in every row"):
        fit("job ~ 1 | stay()", panel.subset([3]))
    # It differs only for a train that nobody can take.
    trips["fee[train]"] = 9.0
    rails = Lookup(np.zeros(len(trips), dtype=np.int64), np.array([[True, True, False]]))
    fit("mode ~ 1 | fee[alt]", trips, MODES)
    with pytest.raises(DataError, match=r"fee\[alt\] is the same for all outcomes"):
        fit("mode ~ 1 | fee[alt]", trips, MODES, available=rails)


# Missing values and choice sets


def test_missing_values_are_counted_unless_not_available(trips: pd.DataFrame) -> None:
    trips.loc[[1, 4, 6], "price[car]"] = np.nan
    trips.loc[2, "income"] = np.nan
    formula = "mode ~ 1 | price[alt] + price[alt]:income + I(price[alt] > 2)"
    with pytest.raises(DataError, match=r"missing values: income in 1 of 40 rows"):
        fit(formula, trips, MODES)
    with pytest.raises(DataError, match=r"missing values: price\[alt\] in 3, I\(price\[alt\] > 2\) in 3 of 40 rows"):
        fit(formula, trips.fillna({"income": 1.0}), MODES)
    found = fit(formula, trips, MODES, missing="drop")
    assert np.flatnonzero(~found.kept).tolist() == [1, 2, 4, 6]
    assert all(len(lookup) == 40 and np.isfinite(lookup.values()).all() for lookup in found.lookups)
    table = np.ones((2, 3), dtype=bool)
    table[1, 1] = False
    available = Lookup(np.isin(np.arange(40), [1, 4, 5]).astype(np.int64), table)
    found = fit(formula, trips, MODES, missing="drop", available=available)
    assert np.flatnonzero(~found.kept).tolist() == [2, 6]
    np.testing.assert_array_equal(
        values(found, "price[alt]")[1], [*trips.loc[1, ["price[bus]"]], 0, trips.loc[1, "price[train]"]]
    )
    # An expression may say itself what becomes of them.
    assert fit("mode ~ 1 | np.nan_to_num(price[alt])", trips, MODES).kept.all()


def test_values_that_are_not_finite(trips: pd.DataFrame) -> None:
    trips.loc[3, "price[bus]"] = 0.0
    with pytest.raises(DataError, match=r"np.log\(price\[alt\]\) is not finite in 1 of 40 rows"):
        fit("mode ~ 1 | np.log(price[alt])", trips, MODES, missing="drop")
    with pytest.raises(DataError, match=r"column 'price\[car\]' holds .*, no numbers; convert it"):
        fit("mode ~ 1 | price[alt]", trips.assign(**{"price[car]": "cheap"}), MODES)


def test_choice_sets(trips: pd.DataFrame) -> None:
    outcome = MODES.positions(trips["mode"])
    for code in MODES.codes:
        trips[f"free[{code}]"] = True
    trips.loc[:9, "free[train]"] = trips.loc[:9, "mode"] == "train"
    found = read_choice_sets("free", trips, MODES, outcome)
    assert found.table.dtype == bool
    assert len(found.table) == 2
    np.testing.assert_array_equal(found.values(), trips[[f"free[{c}]" for c in MODES.codes]])
    np.testing.assert_array_equal(
        read_choice_sets("free", trips.replace({True: 1.0, False: 0.0}), MODES).values(), found.values()
    )
    barred = trips.assign(**{"free[bus]": trips["mode"] != "bus"})
    rows = int((trips["mode"] == "bus").sum())
    with pytest.raises(DataError, match=rf"choice_sets='free': {rows} of 40 rows \(first at index .* not available to"):
        read_choice_sets("free", barred, MODES, outcome)
    read_choice_sets("free", barred, MODES)
    none = trips.assign(**{f"free[{c}]": trips.index != 5 for c in MODES.codes})
    with pytest.raises(DataError, match=r"1 of 40 rows \(first at index 5\) have no available outcome"):
        read_choice_sets("free", none, MODES)
    single = trips.assign(**{f"free[{c}]": trips["mode"] == c for c in MODES.codes})
    np.testing.assert_array_equal(read_choice_sets("free", single, MODES, outcome).values().sum(axis=1), 1)
    for wrong in (np.nan, 0.5, 2):
        frame = trips.astype({"free[car]": float})
        frame.loc[7, "free[car]"] = wrong
        with pytest.raises(DataError, match=r"1 of 40 rows .* missing or neither true nor false .* 'free\[car\]'"):
            read_choice_sets("free", frame, MODES)
    with pytest.raises(
        MissingColumnError, match=r"choice_sets='fre' needs a column fre\[code\] .* 3 of 3 are absent.*free"
    ):
        read_choice_sets("fre", trips, MODES)
    with pytest.raises(OptionError, match="choice_sets must be the x of columns"):
        read_choice_sets(3, trips, MODES)


def test_offsets_and_choice_sets_together(trips: pd.DataFrame) -> None:
    trips.loc[4, "price[car]"] = np.nan
    with pytest.raises(DataError, match=r"offset='price': 1 of 40 rows \(first at index 4\) have missing values"):
        read_offset("price", trips, MODES)
    found, kept = read_offset("price", trips, MODES, missing="drop")
    assert np.flatnonzero(~kept).tolist() == [4]
    available = Lookup((np.arange(40) == 4).astype(np.int64), np.array([[True, True, True], [True, False, True]]))
    offset, kept = read_offset("price", trips, MODES, available=available)
    assert kept.all()
    known = known_utilities(offset, available)
    expected = trips[[f"price[{c}]" for c in MODES.codes]].to_numpy().copy()
    expected[4, 1] = -np.inf
    np.testing.assert_array_equal(known.values(), expected)
    assert known_utilities(None, None) is None
    assert known_utilities(found, None) is found
    trips.loc[3, "price[bus]"] = -np.inf
    with pytest.raises(DataError, match=r"1 of 40 rows .* not finite; what cannot be chosen goes into choice_sets="):
        read_offset("price", trips, MODES, available=available)


# What may not be known, and what does not exist


def test_columns_by_outcome_are_declared_on_a_panel(with_wages: CareerPanel) -> None:
    assert with_wages.roles.dynamic == ("educ", "region", "pay[clerk]", "pay[cook]", "pay[nurse]")
    assert with_wages.roles.static == ("sex", "way[clerk]", "way[cook]", "way[nurse]")
    assert with_wages.roles.of_records == (("sex",), ("educ", "region"))
    found = fit("job ~ 1 | pay[alt] + I(way[alt] / educ)", with_wages.subset([1, 3]))
    np.testing.assert_allclose(values(found, "pay[alt]")[:, 2], [2, 3, 4, 5, 4])
    np.testing.assert_allclose(values(found, "I(way[alt] / educ)")[-1], np.array([3, 6, 9]) / 16)
    # Résumés do not list what every job would have paid.
    assert "pay" not in with_wages.resumes()[3].text
    plain = CareerPanel(CAREERS, **ROLES)
    assert [r.text for r in with_wages.resumes()] == [r.text for r in plain.resumes()]
    assert "pay[cook]" not in with_wages.levels


def test_declarations_that_cannot_be_met(careers: pd.DataFrame) -> None:
    for job in JOBS[:2]:
        careers[f"pay[{job}]"] = 1.0
    roles = {**ROLES, "dynamic": ["pay[alt]", "educ"]}
    message = r"pay\[alt\] stands for a column pay\[code\] for each of 3 outcomes, and 1 are not .* 'pay\[nurse\]'"
    with pytest.raises(MissingColumnError, match=message):
        CareerPanel(careers, **roles)
    # A mapping of titles keeps what occurs; a choice set is taken whole.
    titles = {"clerk": "Clerk", "cook": "Cook", "nurse": "Nurse", "pilot": "Pilot"}
    careers["pay[nurse]"] = 2.0
    CareerPanel(careers, **roles, titles=titles)
    with pytest.raises(
        MissingColumnError, match=r"for each of 4 outcomes, and 1 are not in the data frame: 'pay\[pilot\]'"
    ):
        CareerPanel(careers, **roles, titles=ChoiceSet.from_titles(titles))
    varying = careers.assign(**{"pay[cook]": careers["year"]})
    with pytest.raises(DataError, match=r"static column 'pay\[cook\]' varies within 2 persons"):
        CareerPanel(varying, **{**ROLES, "static": ["pay[alt]"]})
    with pytest.raises(OptionError, match=r"'pay\[cook\]' is given as dynamic and as lagged"):
        CareerPanel(careers, **{**roles, "lagged": ["pay[cook]"]})


def test_leaks_right_of_the_bar(careers: pd.DataFrame, with_wages: CareerPanel) -> None:
    for term in ("pay[alt]:wage", "I(pay[alt] / wage)", "stay():C(wage)"):
        with pytest.raises(LeakageError, match="formula uses 'wage' as it stands"):
            fit(f"job ~ 1 | {term}", with_wages)
    for term in ("pay[alt]:job", "I(pay[alt] * (job == 'cook'))"):
        with pytest.raises(LeakageError, match="formula uses the outcome 'job' on its right-hand side"):
            fit(f"job ~ 1 | {term}", with_wages)
    for job in JOBS:
        careers[f"pay[{job}]"] = 1.0
    late = CareerPanel(careers, **{**ROLES, "lagged": [f"pay[{job}]" for job in JOBS]})
    with pytest.raises(LeakageError, match=r"'pay\[clerk\]', which is declared in lagged= and known only after"):
        fit("job ~ 1 | pay[alt]", late)
    with pytest.raises(LeakageError, match=r"offset='pay' uses 'pay\[clerk\]'"):
        read_offset("pay", late, late.choices)
    undeclared = CareerPanel(careers, **ROLES)
    with pytest.raises(
        MissingColumnError, match=r"3 of 3 are absent.* Declare them on the panel: dynamic=\['pay\[alt\]'\]"
    ):
        fit("job ~ 1 | pay[alt]", undeclared)


@pytest.mark.parametrize(
    ("term", "error", "message"),
    [
        ("prise[alt]", MissingColumnError, r"needs a column prise\[code\] .* 3 of 3 .* Did you mean 'price\[bus\]'"),
        (
            "I(price[alt] / incom)",
            MissingColumnError,
            "formula uses 'incom', which is no column here. Did you mean 'income'",
        ),
        ("price[alt]:sexx", MissingColumnError, "formula uses 'sexx'.* Did you mean 'sex'"),
        ("I(price[alt] - price[alt].mean())", FormulaError, "uses .mean, but right of the bar .* row by row"),
        ("I(price[alt] - np.mean(price[alt]))", FormulaError, "uses .mean"),
        ("np.cumsum(price[alt])", FormulaError, "uses .cumsum"),
        ("np.add.reduce(price[alt])", FormulaError, "uses .(reduce|add)"),
        ("np.matmul(price[alt], income)", FormulaError, "uses .matmul"),
        ("I(price[alt] @ income)", FormulaError, "picks or mixes rows or outcomes"),
        ("I(price[alt][0])", FormulaError, "picks or mixes rows or outcomes"),
        ("I(price['bus'] + price[alt])", FormulaError, "picks or mixes rows or outcomes"),
        ("scale(price[alt])", FormulaError, r"calls scale\(\) in an expression that varies .* x\[alt\]:scale"),
        ("I(price[alt] * C(k))", FormulaError, r"calls C\(\) in an expression that varies"),
        ("I(price[alt] * sex)", FormulaError, "cannot be evaluated: TypeError"),
        (
            "price[alt]:embed(sex)",
            FormulaError,
            r"right of the bar, where embed\(\) would need a number per row, outcome",
        ),
        ("price[alt]:lag(k)", FormulaError, r"lag\(\) looks back in a career"),
    ],
)
def test_what_an_expression_may_not_do(trips: pd.DataFrame, term: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        fit(f"mode ~ 1 | {term}", trips, MODES)


def test_rows_are_not_moved_on_a_panel(with_wages: CareerPanel) -> None:
    with pytest.raises(FormulaError, match=r"calls shift\(\), which crosses persons"):
        fit("job ~ 1 | pay[alt]:educ.shift(1)", with_wages)


def test_columns_by_outcome_that_occur_twice(trips: pd.DataFrame) -> None:
    twice = pd.concat([trips, trips[["price[bus]"]]], axis=1)
    with pytest.raises(DataError, match=r"column 'price\[bus\]' occurs more than once"):
        fit("mode ~ 1 | price[alt]", twice, MODES)
    with pytest.raises(DataError, match=r"column 'price\[bus\]' occurs more than once"):
        read_offset("price", twice, MODES)


# New data, other values, files


def test_prediction_uses_levels_and_states_of_the_estimation(trips: pd.DataFrame) -> None:
    formula = "mode ~ 1 | price[alt]:scale(income) + price[alt] + price[alt]:sex"
    spec, found = AlternativesSpec.fit(parse(formula), trips, MODES)
    again = AlternativesSpec.from_state(json.loads(json.dumps(spec.to_state(), default=float)), MODES)
    for other in (spec, again):
        built = other.build(trips.iloc[[3]])
        assert (built.names, built.terms) == (found.names, found.terms)
        for a, b in zip(built.lookups, found.lookups, strict=True):
            np.testing.assert_allclose(a.values()[0], b.values()[3])
    with pytest.raises(UnseenLevelError, match="sex: 1 rows have a level that the model never saw: 'x'"):
        spec.build(trips.iloc[[3]].assign(sex="x"))
    _, kept = AlternativesSpec.fit(parse("mode ~ 1 | f(price[alt])"), trips, MODES, context={"f": np.sqrt})
    assert kept.kept.all()
    named = AlternativesSpec.fit(parse("mode ~ 1 | f(price[alt])"), trips, MODES, context={"f": np.sqrt})[0]
    with pytest.raises(FormulaError, match="uses the caller's 'f' cannot be saved"):
        named.to_state()


def test_variables_set_to_other_values(trips: pd.DataFrame) -> None:
    spec, found = AlternativesSpec.fit(
        parse("mode ~ 1 | price[alt] + I(price[alt] / income) + price[alt]:sex + I(price[alt] * young)"), trips, MODES
    )
    variables = {v.name: (v.kind, v.levels) for v in spec.variables()}
    assert variables == {
        "sex": ("factor", ("f", "m")),
        "income": ("numeric", ()),
        "young": ("factor", (False, True)),
        **{f"price[{c}]": ("numeric", ()) for c in MODES.codes},
    }
    settings = {"price[car]": 2.5, "income": np.arange(1, 41), "sex": "m", "young": False}
    by_hand = trips.assign(**settings)
    built, expected = spec.build(trips, settings), spec.build(by_hand)
    for a, b in zip(built.lookups, expected.lookups, strict=True):
        np.testing.assert_array_equal(a.values(), b.values())
    assert not np.array_equal(values(built, "price[alt]"), values(found, "price[alt]"))
    with pytest.raises(OptionError, match=r"'price\[tram\]' cannot be set: there is no such column"):
        spec.build(trips, {"price[tram]": 1.0})
    with pytest.raises(OptionError, match="'prize' cannot be set: it is no variable of the formula"):
        spec.build(trips, {"prize": 1.0})


def test_the_last_occupation_set_to_another(panel: CareerPanel) -> None:
    spec, _ = AlternativesSpec.fit(parse("job ~ lag(job) | stay() + stay():educ"), panel, panel.choices)
    assert [(v.name, v.levels) for v in spec.variables()][-1] == ("lag(job)", ("(none)", *JOBS))
    built = spec.build(panel, {"lag(job)": "nurse", "educ": 10})
    assert values(built, "stay()").tolist() == [[0, 0, 1]] * 8
    assert values(built, "stay():educ").tolist() == [[0, 0, 10]] * 8
    assert not values(spec.build(panel, {"lag(job)": "(none)"}), "stay()").any()
    with pytest.raises(UnseenLevelError, match=r"lag\(job\) cannot be set to 'nurze'.* Did you mean 'nurse'"):
        spec.build(panel, {"lag(job)": "nurze"})


# Other software


def test_conditional_logit_of_statsmodels() -> None:
    """The lookups are the regressors of a conditional logit: estimates agree with statsmodels' on long data."""
    from statsmodels.discrete.conditional_models import ConditionalLogit

    rng = np.random.default_rng(2)
    n = 250
    df = pd.DataFrame({"income": rng.uniform(0.5, 2, n)})
    price = rng.uniform(0, 2, (n, 3))
    utility = np.array([0, 0.5, 0.2]) - 1.2 * price + 0.4 * price * df[["income"]].to_numpy()
    df["mode"] = np.array(MODES.codes)[np.argmax(utility + rng.gumbel(size=(n, 3)), axis=1)]
    for j, code in enumerate(MODES.codes):
        df[f"price[{code}]"] = price[:, j]
        df[f"bus[{code}]"], df[f"car[{code}]"] = float(code == "bus"), float(code == "car")
    found = fit("mode ~ 0 | bus[alt] + car[alt] + price[alt] + price[alt]:income", df, MODES)
    chosen = MODES.positions(df["mode"])
    cells = np.stack([lookup.values() for lookup in found.lookups], axis=2)
    long = ConditionalLogit(
        (chosen[:, None] == np.arange(3)).ravel().astype(float), cells.reshape(-1, 4), groups=np.repeat(np.arange(n), 3)
    ).fit(disp=False, gtol=1e-9)

    def loss(g: np.ndarray) -> float:
        z = cells @ g
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(n), chosen]).sum())

    ours = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-6})
    assert loss(long.params) == pytest.approx(-long.llf, rel=1e-10)
    np.testing.assert_allclose(ours.x, long.params, atol=1e-3)
