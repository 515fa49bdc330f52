import numpy as np
import pandas as pd
import pytest

from econllm.description import describe_panel
from econllm.panel import CareerPanel


def test_a_panel_counted_by_hand(panel: CareerPanel) -> None:
    d = panel.describe()
    assert (d.persons, d.transitions, d.first_records, d.states, d.choices) == (3, 8, 3, 3, 3)
    # Five pairs: clerk to clerk and cook to cook are kept; 2001 to 2003 is a gap.
    assert d.stay_share == pytest.approx(2 / 5)
    assert (d.gaps, d.step) == (1, 1.0)
    assert d.gap_share == pytest.approx(1 / 5)
    assert d.years == (1999.0, 2003.0, 5)
    expected = pd.Series([1, 1.2, 2, 3, 3.5, 3.9, 4], ["min", "p5", "p25", "p50", "p75", "p95", "max"])
    pd.testing.assert_series_equal(d.records_per_person, expected, check_names=False)
    assert sorted(d.patterns["pattern"]) == ["..1..", ".11.1", "1111."]
    assert d.patterns["share"].tolist() == pytest.approx([1 / 3] * 3)


def test_it_prints_its_numbers(panel: CareerPanel) -> None:
    text = str(panel.describe())
    for part in ("persons", "40.0%", "1999 to 2003, 5 distinct", "3 of 3", ".11.1", "1, 1 (20.0% of pairs)"):
        assert part in text
    assert repr(panel.describe()) == text


def test_history_rows_are_not_counted_but_their_pairs_are(panel: CareerPanel) -> None:
    d = panel.split_time(2001)[1].describe()
    assert (d.persons, d.transitions, d.first_records) == (2, 2, 0)
    # 2001 clerk to 2002 nurse, and 2001 cook to 2003 cook; on a tie the shorter step is the usual one.
    assert d.stay_share == pytest.approx(0.5)
    assert (d.step, d.gaps) == (1.0, 1)


def test_rare_patterns_are_added_up() -> None:
    # Eleven persons, person i observed in time i alone: nine patterns are shown, two are counted together.
    n = 11
    d = describe_panel(np.arange(n) * 1.0, np.zeros(n, int), np.ones(n, int), np.ones(n, bool), 1)
    assert d.patterns["pattern"].iloc[-1] == "(other patterns)"
    assert d.patterns["persons"].tolist() == [1] * 9 + [2]
    assert d.patterns["share"].sum() == pytest.approx(1)


def test_many_times_have_no_patterns() -> None:
    n = 61
    d = describe_panel(np.arange(n) * 1.0, np.zeros(n, int), np.arange(1, n + 1), np.ones(n, bool), 1)
    assert d.patterns.empty
    assert d.stay_share == 1.0


def test_persons_without_pairs_and_no_persons(panel: CareerPanel) -> None:
    alone = panel.subset([3]).describe()
    assert np.isnan(alone.stay_share)
    assert (alone.gaps, alone.gap_share, alone.first_records) == (0, 0.0, 1)
    nobody = panel.subset([]).describe()
    assert (nobody.persons, nobody.transitions, nobody.states) == (0, 0, 0)
    assert "nan" in str(nobody)
