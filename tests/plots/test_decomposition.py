import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.plots import decomposition

NAN, INF = float("nan"), float("inf")


def variances(models=3, **columns):
    frame = pd.DataFrame({"training": 0.04, "seed": 0.01, "test": 0.04}, index=[f"m{i}" for i in range(models)])
    return frame.assign(**columns)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bars_are_stacked_and_end_at_the_total():
    figure = decomposition(variances(2))
    bars = figure.axes[0].patches
    ends = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in bars]).reshape(3, 2, 2)
    assert np.allclose(ends[:, 0], [[0, 0.04], [0.04, 0.05], [0.05, 0.09]])
    assert texts(figure) == ["SE 0.300", "SE 0.300"]
    assert figure.axes[0].yaxis_inverted()
    assert entries(figure) == ["training sample", "seed of training", "test sample"]


def test_parts_differ_in_lightness_or_hatching():
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in decomposition(variances()).axes[0].patches}
    grey = sorted(0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] for c, _ in looks)
    assert grey[0] < 0.3
    assert grey[1] - grey[0] > 0.3
    assert {bool(hatch) for _, hatch in looks} == {True, False}


def test_a_part_that_nobody_measured_is_named_in_the_legend():
    figure = decomposition(variances(seed=NAN))
    assert entries(figure)[1] == "seed of training (not measured)"
    assert texts(figure)[0] == "SE 0.283"


def test_a_part_that_some_models_lack_is_named_at_their_bars():
    figure = decomposition(variances(3, seed=[0.01, NAN, 0.01], test=[0.04, NAN, 0.04]))
    assert entries(figure)[1] == "seed of training"
    assert texts(figure) == ["SE 0.300", "SE 0.200, without seed and test", "SE 0.300"]


def test_negative_and_missing_variances():
    frame = variances(2, training=[-0.01, NAN], seed=[-0.01, NAN], test=[0.01, NAN])
    figure = decomposition(frame)
    assert texts(figure) == ["no SE", "no SE"]
    assert all(bar.get_width() >= 0 for bar in figure.axes[0].patches)
    figure = decomposition(variances(1, training=-0.01))
    assert texts(figure) == ["SE 0.200"]
    assert figure.axes[0].patches[-1].get_width() == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(1e-3, " (1e\u22125)"), (0.1, " (1e\u22123)"), (0.12, ""), (1.0, ""), (1e5, ""), (2e5, " (1e4)")],
)
def test_the_title_of_the_axis_names_the_power_of_ten(scale, unit):
    figure = decomposition(variances(2) * scale)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "variance of the perplexity" + unit
    power = float(unit.strip(" ()").replace("\u2212", "-") or 1)
    ticks = [float(tick.get_text()) * power for tick in axes.get_xticklabels()]
    assert ticks == pytest.approx(axes.get_xticks().tolist())
    assert not axes.xaxis.get_offset_text().get_visible()


@pytest.mark.parametrize("models", [1, 3])
def test_a_long_title_of_the_axis_is_broken_and_meets_nothing(models):
    words = "Variance of the difference in perplexity from the best-fitting of all models in $ (non-weighted)"
    figure = decomposition(variances(models) * 1e-3, xlabel=words)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.get_xlabel().replace("\n", " ") == words + " (1e\u22125)"
    label, area = axes.xaxis.label.get_window_extent(), axes.get_window_extent()
    assert area.x0 <= label.x0
    assert label.x1 <= area.x1
    assert label.y1 <= min(tick.get_window_extent().y0 for tick in axes.get_xticklabels())
    assert figure.legends[0].get_window_extent().y1 <= label.y0
    plain = decomposition(variances(models) * 1e-3)
    plain.draw_without_rendering()
    assert area.height == pytest.approx(plain.axes[0].get_window_extent().height, rel=0.1)


def test_figures_can_be_pickled():
    assert texts(pickle.loads(pickle.dumps(decomposition(variances(1) * 1e-6)))) == ["SE 0.000300"]


@pytest.mark.parametrize("models", [1, 8])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e6])
def test_awkward_names_and_sizes_fit(models, scale, tmp_path):
    frame = variances(models) * scale
    frame.index = ["a name that is much too long " * 3, *(f"${i}_x & 5%" for i in range(models - 1))]
    figure = decomposition(frame, title="long title " * 10, path=tmp_path / "d.svg")
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert min(box.x0 for box in labels) >= 0
    assert all(above.y0 >= below.y1 for above, below in pairwise(labels))
    assert (tmp_path / "d.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ([0.1], DataError, "frame is a list"),
        (variances().drop(columns="seed"), MissingColumnError, "frame column 'seed'"),
        (variances(0), OptionError, "frame has no rows"),
        (variances(2, test=[1, INF]), OptionError, "the variance of 'm1' is infinite"),
        (variances() * NAN, OptionError, "frame holds no variance"),
        (variances(test="x"), OptionError, "frame holds something else than numbers"),
    ],
)
def test_mistakes_are_named(frame, error, message):
    with pytest.raises(error, match=message):
        decomposition(frame)
