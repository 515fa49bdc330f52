import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.plots import penalty_path

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
