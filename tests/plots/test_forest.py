import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.plots import forest

NAN, INF = float("nan"), float("inf")


def boxes(figure):
    figure.draw_without_rendering()
    axes = figure.axes[0]
    return [label.get_window_extent() for label in axes.get_yticklabels()]


def test_rows_run_from_the_top_and_no_label_is_clipped():
    labels = ["Short", "A very long label " * 6, "unbroken" * 20, "$\\foo_x & 5%$"]
    figure = forest(labels, [1, 2, 3, 4], [0, 1, 2, 3], [2, 3, 4, 5], title="A long title " * 8, xlabel="Perplexity")
    found = boxes(figure)
    tops = [box.y1 for box in found]
    assert tops == sorted(tops, reverse=True)
    assert all(above.y0 >= below.y1 for above, below in pairwise(found))
    assert min(box.x0 for box in found) >= 0
    assert figure.axes[0].get_yticklabels()[3].get_text() == labels[3]
    assert figure.get_suptitle().count("\n") >= 1


def test_everything_finite_is_in_view():
    figure = forest(list("abcd"), [1, NAN, INF, 2], [0.5, NAN, 1, -INF], [INF, NAN, INF, 2.5], reference=9)
    left, right = figure.axes[0].get_xlim()
    assert left < 0.5
    assert right > 9
    dots = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [x.tolist() for x in dots] == [[1, 2]]
    arrows = {line.get_marker() for line in figure.axes[0].lines} & {"<", ">"}
    assert arrows == {"<", ">"}


def test_chosen_rows_have_hollow_dots():
    axes = forest(list("abc"), [1, 2, 3], [0, 1, 2], [2, 3, 4], hollow=[False, True, False]).axes[0]
    dots = {line.get_markerfacecolor(): line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"}
    assert dots.pop("white") == [2]
    assert list(dots.values()) == [[1, 3]]


@pytest.mark.parametrize("point", [0.0, -3.0, NAN, 1e-12])
def test_a_single_row_has_room(point):
    left, right = forest(["a"], [point], [point], [point]).axes[0].get_xlim()
    assert right > left


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_files(tmp_path, suffix, start):
    path = tmp_path / f"forest{suffix}"
    forest(["a", "b_$"], np.array([1, 2]), [0, 1], [2, 3], path=path, title="t")
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": []}, "labels is empty"),
        ({"estimates": [1]}, r"estimates has shape \(1,\), but there are 2 labels"),
        ({"upper": [[2, 3]]}, "upper has shape"),
        ({"lower": [0, 2.5]}, "estimate 2 of 'b' is outside its interval from 2.5 to 3; this holds for 1 of 2"),
        ({"reference": NAN}, "reference=nan"),
        ({"hollow": [True]}, r"hollow has shape \(1,\) and type bool; give true or false for each of 2 labels"),
        ({"hollow": [0, 2]}, "hollow has shape .* type int"),
        ({"path": "x.pgn"}, "path='x.pgn' must end in one of .png, .pdf, .svg. Did you mean '.png'"),
        ({"path": "no_such_folder/x.png"}, "the folder 'no_such_folder' does not exist"),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"labels": ["a", "b"], "estimates": [1, 2], "lower": [0, 1], "upper": [2, 3], **change}
    with pytest.raises(OptionError, match=message):
        forest(**options)


def test_no_global_state_is_touched():
    backend = dict(matplotlib.rcParams)
    forest(["a"], [1], [0], [2])
    assert dict(matplotlib.rcParams) == backend
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
