from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from econllm.errors import MissingColumnError, OptionError
from econllm.plots import reliability

NAN = float("nan")


def curve(n=20, scale=1.0, **columns):
    p = np.linspace(0.05, 0.9, n) * scale
    return pd.DataFrame({"predicted": p, "observed": p, "lower": 0.8 * p, "upper": 1.05 * p} | columns)


def strips(figure):
    return [child for axes in figure.axes for child in axes.child_axes]


def main_line(axes):
    return next(line for line in axes.lines if line.get_drawstyle() == "steps-mid")


def test_curve_band_and_diagonal():
    given = curve(5).sample(frac=1, random_state=0)
    axes = reliability({"MNL": given}).axes[0]
    line = main_line(axes)
    assert line.get_xdata().tolist() == sorted(given["predicted"])
    assert line.get_ydata().tolist() == sorted(given["observed"])
    diagonal = next(other for other in axes.lines if other is not line)
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(given["lower"].min())
    assert band[:, 1].max() == pytest.approx(given["upper"].max())


@pytest.mark.parametrize(("models", "across"), [(1, 1), (2, 2), (3, 3), (8, 3)])
def test_a_panel_per_model_at_most_three_across(models, across):
    names = [f"$model_{i}$ with a name that is far too long for a panel" for i in range(models)]
    figure = reliability({name: curve(density=0.05) for name in names}, title="t")
    figure.draw_without_rendering()
    assert len(figure.axes) == len(strips(figure)) == models
    columns = {round(axes.get_position().x0, 3) for axes in figure.axes}
    assert len(columns) == across
    titles = [axes.title.get_window_extent() for axes in figure.axes[:across]]
    assert all(left.x1 < right.x0 for left, right in pairwise(titles))
    labels = [[t for t in axes.get_yticklabels() if t.get_visible() and t.get_text()] for axes in figure.axes]
    assert [bool(found) for found in labels] == [i % across == 0 for i in range(models)]


def test_the_strip_is_as_wide_as_its_panel_and_holds_all_rows():
    given = curve(4, density=[0.1, 0.2, 0.3, 0.4])
    figure = reliability({"a": given, "b": curve(4)})
    figure.draw_without_rendering()
    (strip,) = strips(figure)
    panel = figure.axes[0]
    assert strip.get_window_extent().x0 == pytest.approx(panel.get_window_extent().x0)
    assert strip.get_window_extent().x1 == pytest.approx(panel.get_window_extent().x1)
    assert strip.get_window_extent().y1 < panel.get_window_extent().y0
    assert strip.get_xlim() == panel.get_xlim()
    heights = {bar.get_x(): bar.get_height() for bar in strip.patches if bar.get_height() > 0}
    assert sum(heights.values()) == pytest.approx(1)
    assert [heights[x] for x in sorted(heights)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_rare_event_fills_its_panel_and_all_panels_share_axes():
    rare = reliability({"a": curve(scale=0.05), "b": curve(scale=0.08)})
    assert {axes.get_xlim() for axes in rare.axes} == {axes.get_ylim() for axes in rare.axes}
    assert 0.07 < rare.axes[0].get_xlim()[1] < 0.1
    assert reliability({"a": curve(scale=0.05), "b": curve()}).axes[0].get_xlim() == (0, 1)


def test_missing_numbers_leave_gaps_and_one_row_is_seen():
    given = curve(6)
    given.loc[2, "observed"] = NAN
    given.loc[4, ["lower", "upper"]] = NAN
    axes = reliability({"a": given, "b": curve(1)}).axes
    assert np.isnan(main_line(axes[0]).get_ydata()).tolist() == [False, False, True, False, False, False]
    assert len(axes[0].collections[0].get_paths()) == 2
    assert main_line(axes[1]).get_marker() == "o"


def test_names_of_axes_with_dollar_signs():
    single = reliability({"a": curve(density=1.0)}, xlabel="$p", ylabel="share of $")
    assert strips(single)[0].get_xlabel() == "$p"
    assert single.axes[0].get_ylabel() == "share of $"
    single.draw_without_rendering()
    several = reliability({"a": curve(), "b": curve()}, xlabel="$p", ylabel="share of $")
    assert (several.get_supxlabel(), several.get_supylabel()) == ("$p", "share of $")


def test_files(tmp_path):
    for suffix, start in ((".pdf", b"%PDF"), (".svg", b"<?xml")):
        reliability({"a": curve(density=0.05)}, path=tmp_path / f"r{suffix}")
        assert (tmp_path / f"r{suffix}").read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "curves is empty"),
        (curve(), "curves is a DataFrame; give a mapping from names"),
        ({"a": [1, 2]}, r"curves\['a'\] is a list; give a data frame"),
        ({"a": curve().head(0)}, r"curves\['a'\] has no rows"),
        ({"a": curve(observed="x")}, r"curves\['a'\]\['observed'\] holds something else than numbers"),
        ({"a": curve(2, predicted=[0.5, NAN])}, "predicted must lie between 0 and 1, which 1 of 2 rows do not"),
        ({"a": curve(2, predicted=[0.5, 1.5])}, "predicted must lie between 0 and 1"),
        ({"a": curve(2, lower=[0.0, 0.95])}, "observed 0.9 is outside its interval from 0.95 to 0.945; .* 1 of 2 rows"),
        ({"a": curve(density=-1.0)}, r"curves\['a'\]\['density'\] holds shares that are missing, infinite or negative"),
    ],
)
def test_mistakes_are_named(curves, message):
    with pytest.raises(OptionError, match=message):
        reliability(curves)


def test_absent_columns_are_named():
    with pytest.raises(MissingColumnError, match=r"curves\['a'\] column 'upper' is not in the data frame"):
        reliability({"a": curve().drop(columns="upper")})
