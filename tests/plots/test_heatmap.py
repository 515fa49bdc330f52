from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.plots import heatmap

NAN = float("nan")
JOBS = [f"{year} a rather long title of an occupation, number {year}" for year in range(1990, 2002)]


def attention(panels, size):
    """Weights that sum to one over the past; the future is missing."""
    weights = np.tril(np.random.default_rng(0).uniform(size=(panels, size, size)))
    weights /= weights.sum(axis=-1, keepdims=True)
    weights[:, np.triu_indices(size, 1)[0], np.triu_indices(size, 1)[1]] = NAN
    return weights


def labels(axes, which):
    ticks = axes.get_yticklabels() if which == "y" else axes.get_xticklabels()
    return [tick for tick in ticks if tick.get_text()]


def mesh(axes):
    return axes.collections[0]


def shade(axes, value):
    """Lightness, 0 to 1, of the colour of a number."""
    red, green, blue, _ = mesh(axes).to_rgba(value)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_number_is_in_its_cell_and_the_first_row_is_on_top():
    axes = heatmap([[0.0, 1.0], [2.0, NAN]], ["a", "b"], ["c", "d"]).axes[0]
    drawn = mesh(axes).get_array()
    assert drawn.filled(-1).reshape(2, 2).tolist() == [[0, 1], [2, -1]]
    assert axes.yaxis_inverted()
    assert [tick.get_text() for tick in labels(axes, "y")] == ["a", "b"]


def test_larger_numbers_are_darker_in_grey():
    figure = heatmap([[0.0, 4.0]], ["a"], ["c", "d"])
    figure.draw_without_rendering()
    lightness = [shade(figure.axes[0], value) for value in np.linspace(0, 4, 50)]
    assert lightness[0] > 0.95
    assert lightness[-1] < 0.2
    assert all(before > after for before, after in pairwise(lightness))


def test_a_missing_cell_is_blank_and_a_zero_has_a_line_around_it():
    axes = heatmap([[0.0, NAN, np.inf, 1.0]], ["a"], list("cdef")).axes[0]
    assert mesh(axes).get_edgecolor()[:, 3].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("values", "limits"), [([[1.0, 3.0]], (0, 3)), ([[-1.0, 3.0]], (-1, 3)), ([[0.0, 0.0]], (0, 1))]
)
def test_the_scale_begins_at_zero_or_below(values, limits):
    assert mesh(heatmap(values, ["a"], ["c", "d"]).axes[0]).get_clim() == limits


def test_panels_share_one_scale_and_are_named():
    weights = attention(6, 5)
    figure = heatmap(weights, range(5), range(5), panels=[f"head {i}" for i in range(6)], xlabel="past", ylabel="now")
    panels, bar = figure.axes[:6], figure.axes[6:]
    assert [axes.get_title() for axes in panels] == [f"head {i}" for i in range(6)]
    assert {mesh(axes).get_clim() for axes in panels} == {(0, np.nanmax(weights))}
    assert len(bar) == 1
    # Three by two: names of rows at the left edge, those of columns at the lower one.
    assert [bool(labels(axes, "y")) for axes in panels] == [True, False, False, True, False, False]
    assert [bool(labels(axes, "x")) for axes in panels] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(("panels", "across"), [(1, 1), (2, 2), (7, 3), (8, 4), (12, 4), (16, 4), (36, 6)])
def test_panels_fill_lines_where_they_can(panels, across):
    figure = heatmap(attention(panels, 3), range(3), range(3), panels=range(panels))
    figure.draw_without_rendering()
    lefts = {round(axes.get_window_extent().x0, 3) for axes in figure.axes[:panels]}
    assert len(lefts) == across
    # Below a hole, the panel above carries the names.
    assert sum(bool(labels(axes, "x")) for axes in figure.axes[:panels]) == across


@pytest.mark.parametrize("panels", [1, 16])
def test_long_labels_are_cut_and_do_not_overlap(panels):
    names = [f"layer {i // 4}, head {i % 4}" for i in range(panels)]
    title = "Attention by layer and head " * 4
    figure = heatmap(attention(panels, 12), JOBS, JOBS, panels=names, title=title, xlabel="attended to", ylabel="now")
    figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes[:panels]:
        rows = [tick.get_window_extent() for tick in labels(axes, "y")]
        assert all(above.y0 >= below.y1 - 0.5 for above, below in pairwise(rows))
        columns = [tick.get_window_extent() for tick in labels(axes, "x")]
        assert all(left.x1 <= right.x0 + 0.5 for left, right in pairwise(columns))
        assert all(box.x0 >= page.x0 and box.y0 >= page.y0 for box in rows + columns)
        assert axes.title.get_window_extent().width <= axes.get_window_extent().width * 1.05
    assert all(len(tick.get_text()) <= 28 for tick in labels(figure.axes[0], "y"))


def test_a_matrix_of_all_occupations_is_drawn_with_some_of_its_names(tmp_path):
    names = [f"occupation {i}" for i in range(341)]
    figure = heatmap(np.zeros((341, 341)), names, names, path=tmp_path / "all.png")
    shown = [tick.get_text() for tick in labels(figure.axes[0], "y")]
    assert 20 < len(shown) < 80
    assert shown[0] == "occupation 0"
    assert max(figure.get_size_inches()) < 12


def test_a_dollar_sign_begins_no_formula(tmp_path):
    heatmap([[[1.0]]], ["$x_1$ $"], ["$\\foo$"], panels=["$\\bar"], title="$\\y", xlabel="$", path=tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_no_global_state_is_touched():
    before = dict(matplotlib.rcParams)
    heatmap([[1.0]], ["a"], ["b"])
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "there are 0 rows and 2 columns"),
        ({"columns": ["c"]}, r"values has shape \(1, 2\); expected one row per row name, .* shape \(1, 1\)"),
        ({"values": [[[1.0, 2.0]]]}, r"values has shape \(1, 1, 2\): name its 1 matrices in panels="),
        ({"panels": ["p"]}, r"values has shape \(1, 2\); expected one matrix per panel"),
        ({"values": [[NAN, NAN]]}, "values holds no finite number"),
        ({"path": "no_such_folder/x.png"}, "the folder 'no_such_folder' does not exist"),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"values": [[1.0, 2.0]], "rows": ["a"], "columns": ["c", "d"], **change}
    with pytest.raises(OptionError, match=message):
        heatmap(**options)
