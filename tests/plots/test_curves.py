from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.plots import learning_curve
from econllm.plots.curves import check_order

NAN, INF = float("nan"), float("inf")


def curves(models=("MNL", "CAREER"), sizes=(100, 200, 400), added=()):
    rows = []
    for i, name in enumerate(models):
        points = [(size, 0) for size in sizes] + [(sizes[-1], more) for more in added]
        rows += [(name, size, more, 5 - i - 0.001 * (size + more)) for size, more in points]
    frame = pd.DataFrame(rows, columns=["model", "size", "added", "estimate"])
    return frame.assign(lower=frame["estimate"] - 0.2, upper=frame["estimate"] + 0.2)


def drawn(figure):
    """Lines with points, in the order of the models."""
    return [line for line in figure.axes[0].lines if len(line.get_xdata())]


def ticks(figure):
    return [tick.get_text() for tick in figure.axes[0].get_xticklabels()]


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_per_model_on_a_log_axis_with_plain_numbers():
    figure = learning_curve(curves(sizes=(100, 1000, 10000)).sample(frac=1, random_state=1).drop(columns="added"))
    lines = drawn(figure)
    assert figure.axes[0].get_xscale() == "log"
    assert ticks(figure) == ["100", "1,000", "10,000"]
    assert len({line.get_marker() for line in lines}) == 2
    assert sorted(lines[0].get_ydata(), reverse=True) == lines[0].get_ydata().tolist()
    assert np.allclose(lines[0].get_xdata(), [100, 1000, 10000], rtol=0.05)


def test_error_bars_stand_beside_each_other_and_span_the_interval():
    figure = learning_curve(curves())
    bars = [segment for group in figure.axes[0].collections for segment in group.get_segments()]
    assert len({round(segment[0, 0], 6) for segment in bars}) == len(bars) == 6
    assert all(segment[1, 1] - segment[0, 1] == pytest.approx(0.4) for segment in bars)


def test_added_persons_are_dashed_and_hollow_from_the_last_full_marker():
    figure = learning_curve(curves(["MNL"], added=(400, 800)))
    solid, dashed = drawn(figure)
    assert np.allclose(dashed.get_xdata(), [400, 800, 1200])
    assert dashed.get_markerfacecolor() == "white"
    assert solid.get_markerfacecolor() != "white"
    assert solid.get_linestyle() != dashed.get_linestyle()
    assert dashed.get_ydata()[0] == solid.get_ydata()[-1]
    assert entries(figure) == ["MNL", "with added persons"]
    assert ticks(figure) == ["100", "200", "400", "800", "1,200"]
    assert entries(learning_curve(curves(["MNL"]))) == ["MNL"]


def test_only_added_persons():
    (dashed,) = drawn(learning_curve(curves(["MNL"], added=(400, 800)).query("added > 0")))
    assert np.allclose(dashed.get_xdata(), [800, 1200])
    assert dashed.get_markevery() == slice(0, None)


def test_ticks_do_not_run_into_each_other():
    sizes = [100, 105, 110, 500, 520, 1000, 10000, 10100]
    figure = learning_curve(curves(["a"], sizes, added=(50,)))
    figure.draw_without_rendering()
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert {"110", "10,100"} <= set(ticks(figure))


def test_awkward_numbers_leave_gaps():
    frame = curves(["a"])
    frame.loc[1, ["estimate", "lower", "upper"]] = INF, NAN, NAN
    frame.loc[2, "upper"] = INF
    figure = learning_curve(frame)
    (line,) = drawn(figure)
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]
    assert len(figure.axes[0].collections[0].get_segments()) == 1
    learning_curve(curves(["a"], sizes=(50,))).draw_without_rendering()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("middle", "slack"), [(0.0, 1e-12), (0.3, 1e-12), (5e6, 5e-6), (-5e6, 5e-6)])
def test_bounds_may_be_off_by_rounding(middle, slack, sign):
    def check(share):
        bound = np.array([middle + sign * share * slack])
        ends = (bound, np.array([INF])) if sign > 0 else (np.array([-INF]), bound)
        check_order("estimate", ends[0], np.array([middle]), ends[1])

    check(0.5)
    with pytest.raises(OptionError, match=r"estimate .* is outside its interval"):
        check(2)


def test_infinite_estimates_are_held_to_their_bounds():
    one, endless = np.array([1.0]), np.array([INF])
    check_order("estimate", one, endless, endless)
    check_order("estimate", -endless, -endless, one)
    with pytest.raises(OptionError, match="estimate inf is outside its interval from 1 to 1"):
        check_order("estimate", one, endless, one)


def test_eight_models_with_awkward_names(tmp_path):
    names = ["_hidden", "$x_1$", "a very long name " * 5, *"bcdef"]
    figure = learning_curve(curves(names, added=(10,)), title="long title " * 12, path=tmp_path / "c.svg")
    assert len({line.get_marker() for line in drawn(figure)}) == 8
    assert figure.legends[0].get_window_extent().y1 < figure.axes[0].get_window_extent().y0
    assert (tmp_path / "c.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ([1], DataError, "frame is a list"),
        (curves().drop(columns="size"), MissingColumnError, r"frame\['MNL'\] column 'size'"),
        (curves().drop(columns="model"), MissingColumnError, "frame column 'model'"),
        (curves().head(0), OptionError, "frame is empty"),
        (curves(list("abcdefghi")), OptionError, "frame holds 9 curves"),
        (curves().assign(size=0), OptionError, "model 'MNL': size must be a positive number of persons"),
        (curves().assign(added=-1), OptionError, "and added not negative"),
        (
            curves().assign(upper=0),
            OptionError,
            "model 'MNL': estimate 4.9 is outside its interval from 4.7 to 0; .* 3",
        ),
        (curves().assign(estimate="x"), OptionError, r"frame\['MNL'\]\['estimate'\] holds something else than numbers"),
    ],
)
def test_mistakes_are_named(frame, error, message):
    with pytest.raises(error, match=message):
        learning_curve(frame)
