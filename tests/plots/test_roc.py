import numpy as np
import pandas as pd
import pytest

from econllm.errors import MissingColumnError, OptionError
from econllm.metrics import auc
from econllm.plots import roc

NAN = float("nan")


def curve(power, n=50):
    x = np.linspace(0, 1, n)
    return pd.DataFrame({"false_positive": x, "true_positive": x**power})


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_area_is_that_of_the_ranks():
    """Ties between positive and negative rows are slanted pieces, which the trapezoid rule counts as half."""
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=300) < 0.4
    scores = np.round(rng.normal(size=300) + positive, 1)
    cuts = np.unique(scores)[::-1]
    true = [0.0, *((scores[positive] >= cut).mean() for cut in cuts)]
    false = [0.0, *((scores[~positive] >= cut).mean() for cut in cuts)]
    figure = roc({"a": pd.DataFrame({"false_positive": false, "true_positive": true})})
    assert entries(figure) == [f"a: {auc(scores, positive):.3f}"]


def test_square_axes_and_the_line_of_guessing():
    figure = roc({"MNL": curve(0.5)}, title="Moves")
    axes = figure.axes[0]
    figure.draw_without_rendering()
    place = axes.get_window_extent()
    assert place.width == pytest.approx(place.height)
    diagonal = axes.lines[0]
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])
    assert axes.lines[1].get_ydata().tolist() == curve(0.5)["true_positive"].tolist()


def test_eight_models_are_told_apart_without_colour():
    names = [f"model {i} $ with a long long long name" for i in range(8)]
    figure = roc({name: curve(1 / (1 + i)) for i, name in enumerate(names)})
    lines = figure.axes[0].lines[1:]
    assert len({line.get_marker() for line in lines}) == 8
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().y1 < figure.axes[0].get_window_extent().y0
    assert all(len(line.get_markevery()) >= 3 for line in lines)


@pytest.mark.parametrize("rows", [([0, 0, 1], [0, 1, 1]), ([0, 1], [0, 1]), ([0, 0, 0.5, 1], [0, 0, 0.5, 1])])
def test_short_curves(rows):
    roc({"a": pd.DataFrame({"false_positive": rows[0], "true_positive": rows[1]})}).draw_without_rendering()


def test_weighted_shares_may_be_off_by_rounding():
    shares = np.cumsum(np.full(10, 0.1)) * (1 + 1e-15)
    assert entries(roc({"a": pd.DataFrame({"false_positive": shares, "true_positive": shares})})) == ["a: 0.495"]


def test_files(tmp_path):
    roc({"a": curve(0.5)}, path=tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "curves is empty"),
        ({str(i): curve(1) for i in range(9)}, "curves holds 9 curves, '0', '1', '2' .* at most 8 can be told apart"),
        ({"a": curve(1).iloc[::-1]}, r"curves\['a'\]: false_positive must rise from row to row"),
        ({"a": curve(1).assign(true_positive=NAN)}, "true_positive must lie between 0 and 1, which 50 of 50 rows"),
        ({"a": curve(1) * 1.2}, "must lie between 0 and 1, which 9 of 50"),
    ],
)
def test_mistakes_are_named(curves, message):
    with pytest.raises(OptionError, match=message):
        roc(curves)
    with pytest.raises(MissingColumnError, match="Did you mean 'true_positives'"):
        roc({"a": curve(1).rename(columns={"true_positive": "true_positives"})})
