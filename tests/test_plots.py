import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.plots import forest, penalty_path

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


ALPHAS = np.array([0.1, 0.001, 0.01])
SCORES, ERRORS = np.array([-1.6, -1.5, -1.4]), np.array([0.1, 0.2, 0.3])
NORMS = np.array([[0.0, 0.1], [3.0, 2.0], [1.0, 2.5]])


def test_the_path_of_a_penalty_shows_every_number():
    figure = penalty_path(ALPHAS, SCORES, ERRORS, NORMS, ["educ", "C(x) $1"], chosen=0.01)
    above, below = figure.axes
    line = above.lines[0]
    assert sorted(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(0.001, -1.5), (0.01, -1.4), (0.1, -1.6)]
    band = above.collections[0].get_paths()[0].vertices
    for alpha, score, error in zip(ALPHAS, SCORES, ERRORS, strict=True):
        at = band[np.isclose(band[:, 0], alpha), 1]
        assert at.min() == pytest.approx(score - error)
        assert at.max() == pytest.approx(score + error)
    drawn = {line.get_label(): line for line in below.lines}
    assert drawn["educ"].get_ydata().tolist() in ([0.0, 3.0, 1.0], [3.0, 1.0, 0.0])
    # A dollar sign in a name begins no formula.
    assert r"C(x) \$1" in drawn
    assert below.get_xscale() == "log"
    assert [axes.lines[-1].get_xdata()[0] for axes in (above, below)] == [0.01, 0.01]
    # Points are joined from weak to strong, in whichever order they come.
    assert np.all(np.diff(line.get_xdata()) > 0)


def test_the_largest_terms_of_a_path_are_named():
    rng = np.random.default_rng(0)
    norms = rng.uniform(1, 2, (3, 20)) + np.arange(20)
    names = [f"a rather long name of a term, number {j}" for j in range(20)]
    figure = penalty_path(ALPHAS, SCORES, ERRORS, norms, names, chosen=0.001)
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert len(labels) < 10
    assert all(len(label) <= 34 for label in labels)
    assert len(figure.axes[1].lines) == 21
    figure.draw_without_rendering()


def test_a_path_of_one_candidate_and_files(tmp_path):
    figure = penalty_path([0.1], [-1.0], [0.0], [[1.0]], ["x"], chosen=0.1, path=tmp_path / "p.pdf")
    figure.draw_without_rendering()
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(OptionError, match="must end in one of"):
        penalty_path([0.1], [-1.0], [0.0], [[1.0]], ["x"], chosen=0.1, path="p.bmpp")
