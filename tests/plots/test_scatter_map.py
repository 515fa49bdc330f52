from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from econllm.errors import OptionError
from econllm.plots import scatter_map
from econllm.plots.placement import place_labels

JOBS = [f"Occupation number {i}" for i in range(60)]


def cloud(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


def overlap(a, b):
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def test_the_first_labels_are_written_and_none_covers_another():
    figure = scatter_map(cloud(), JOBS, show=30)
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    assert 25 <= len(texts) <= 30
    assert {text.get_text() for text in texts} <= set(JOBS[:30])
    # The box of an annotation holds its line as well; that of its text alone is asked for.
    boxes = [Text.get_window_extent(text) for text in texts]
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    place = figure.axes[0].get_window_extent()
    assert all(b.x0 >= place.x0 and b.x1 <= place.x1 and b.y0 >= place.y0 and b.y1 <= place.y1 for b in boxes)


def test_all_points_are_drawn_in_one_scale():
    points = cloud() * [1, 5]
    axes = scatter_map(points, JOBS).axes[0]
    drawn = np.column_stack([axes.lines[0].get_xdata(), axes.lines[0].get_ydata()])
    assert drawn.tolist() == points.tolist()
    axes.figure.draw_without_rendering()
    step = np.diff(axes.transData.transform([(0, 0), (1, 1)]), axis=0)[0]
    assert step[0] == pytest.approx(step[1])


def test_groups_differ_in_shape_and_are_named():
    groups = [f"$_group {i % 7}" for i in range(60)]
    figure = scatter_map(cloud(), JOBS, groups=groups, title="t" * 200)
    lines = figure.axes[0].lines
    assert len({line.get_marker() for line in lines}) == 7
    assert sum(len(line.get_xdata()) for line in lines) == 60
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [rf"\$_group {i}" for i in range(7)]
    figure.draw_without_rendering()


def test_a_name_that_begins_with_a_low_line_is_in_the_legend():
    figure = scatter_map([[0, 0], [1, 1]], ["a", "b"], groups=["_x", "y"])
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == ["_x", "y"]


@pytest.mark.parametrize("points", [[[3.0, 3.0]], [[0.0, 0.0], [0.0, 9.0]], [[1.0, 1.0]] * 5])
def test_points_on_a_line_or_on_one_spot(points):
    figure = scatter_map(points, ["$\\x"] * len(points))
    assert len(figure.axes[0].texts) == len(points)
    figure.draw_without_rendering()


def test_no_labels_and_files(tmp_path):
    figure = scatter_map(cloud(), JOBS, show=0, path=tmp_path / "map.pdf")
    assert not figure.axes[0].texts
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": []}, r"points has shape \(0,\); expected two coordinates per point"),
        ({"points": np.zeros((0, 2)), "labels": []}, "points is empty"),
        ({"points": [[0, 1], [np.nan, 1]]}, "points: 1 of 2 rows hold missing or infinite numbers"),
        ({"labels": ["a"]}, "there are 1 labels for 2 points"),
        ({"groups": ["a"]}, "there are 1 groups for 2 points"),
        ({"show": -1}, "show=-1 is not allowed"),
        ({"path": "x"}, "must end in one of"),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"points": [[0, 0], [1, 1]], "labels": ["a", "b"], **change}
    with pytest.raises(OptionError, match=message):
        scatter_map(**options)


def test_more_groups_than_can_be_told_apart():
    with pytest.raises(OptionError, match=r"groups holds 8 different groups, .* at most 7"):
        scatter_map(cloud(8), JOBS[:8], groups=range(8))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.floats(1, 40))
def test_placed_labels_stay_in_the_frame_and_off_each_other(seed, n, width):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 100, (n, 2))
    sizes = np.column_stack([rng.uniform(1, width, n), np.full(n, 4.0)])
    centres = place_labels(points, sizes, points, (0, 0, 100, 100), 2.0)
    there = np.flatnonzero(~np.isnan(centres[:, 0]))
    assert (centres[there] - sizes[there] / 2 >= -1e-9).all()
    assert (centres[there] + sizes[there] / 2 <= 100 + 1e-9).all()
    for i, j in combinations(there, 2):
        assert (np.abs(centres[i] - centres[j]) >= (sizes[i] + sizes[j]) / 2 - 1e-9).any()
    # A label never lies on its own point.
    assert (np.abs(centres[there] - points[there]) >= sizes[there] / 2 - 1e-9).any(axis=1).all()


def test_a_free_place_comes_before_one_that_covers_a_point():
    points = np.array([[50.0, 50.0], [60.0, 50.0]])
    centres = place_labels(points[:1], np.array([[20.0, 4.0]]), points, (0, 0, 100, 100), 2.0)
    assert centres.tolist() == [[38.0, 50.0]]


def test_a_label_without_room_is_left_out():
    centres = place_labels(np.array([[5.0, 5.0]]), np.array([[20.0, 4.0]]), np.zeros((0, 2)), (0, 0, 10, 10), 2.0)
    assert np.isnan(centres).all()
