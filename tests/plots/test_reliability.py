from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.cbook import STEP_LOOKUP_MAP

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


def bands(axes):
    """Outer corners of every piece of the band: left, right, lowest, highest."""
    paths = [path.vertices for path in axes.collections[0].get_paths()]
    return [(*(p[:, 0].min(), p[:, 0].max()), *(p[:, 1].min(), p[:, 1].max())) for p in paths]


@pytest.mark.parametrize("predicted", [[0.3], [0.3, 0.3], [0.3, 0.3 + 1e-12], [0.0], [0.0, 0.0]])
def test_a_single_predicted_value_is_a_dot_on_its_band(predicted):
    axes = reliability({"a": curve(len(predicted), predicted=predicted, observed=0.2, lower=0.1, upper=0.25)}).axes[0]
    line = main_line(axes)
    assert (line.get_marker(), line.get_clip_on()) == ("o", False)
    assert line.get_ydata().tolist() == [0.2] * len(predicted)
    whiskers = axes.collections[1].get_segments()
    assert [segment.tolist() for segment in whiskers] == [[[x, 0.1], [x, 0.25]] for x in predicted]


def test_a_curve_that_is_seen_has_no_dots():
    axes = reliability({"a": curve(2)}).axes[0]
    assert main_line(axes).get_marker() == "None"
    assert len(axes.collections) == 1


def test_the_band_ends_half_way_to_missing_points_as_the_curve_does():
    given = curve(5, predicted=[0.1, 0.2, 0.4, 0.6, 0.7])
    given.loc[[1, 3], ["observed", "lower", "upper"]] = NAN
    axes = reliability({"a": given}).axes[0]
    expected = [(left, right, *given.loc[i, ["lower", "upper"]]) for left, right, i in
                ((0.1, 0.15, 0), (0.3, 0.5, 2), (0.65, 0.7, 4))]  # fmt: skip
    np.testing.assert_allclose(bands(axes), expected)
    # Matplotlib's own steps of the curve, as they are drawn.
    line = main_line(axes)
    drawn = STEP_LOOKUP_MAP["steps-mid"](line.get_xdata(), line.get_ydata())
    for left, right, low, high in expected:
        inside = (drawn[1] >= low) & (drawn[1] <= high)
        assert (drawn[0][inside].min(), drawn[0][inside].max()) == pytest.approx((left, right))


def test_a_wide_upper_bound_does_not_press_curves_into_a_corner():
    wide = curve(scale=0.05)
    wide.loc[19, "upper"] = 0.9
    assert reliability({"a": wide}).axes[0].get_ylim() == pytest.approx((0, 1.05 * 0.09))
    zero = curve(2, predicted=[0.0, 0.0], observed=0.0, lower=0.0, upper=0.02)
    assert reliability({"a": zero}).axes[0].get_ylim() == pytest.approx((0, 0.021))
    assert reliability({"a": zero.assign(upper=0.0)}).axes[0].get_ylim() == (0, 1)


def test_rounding_beyond_a_bound_is_no_mistake():
    reliability({"a": curve(1, predicted=[0.3], observed=0.3, lower=0.3 + 4e-16, upper=0.4)})
    with pytest.raises(OptionError, match="outside its interval"):
        reliability({"a": curve(1, predicted=[0.3], observed=0.3, lower=0.3 + 1e-11, upper=0.4)})


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
