import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.plots import training_history

EPOCHS, LOSS, VALIDATION = [1, 2, 3], [2.5, 2.0, 1.8], [2.4, 2.1, 2.2]


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_both_curves_are_drawn_and_told_apart_without_colour():
    drawn = lines(training_history(EPOCHS, LOSS, VALIDATION))
    assert drawn["training"].get_ydata().tolist() == LOSS
    assert drawn["validation"].get_ydata().tolist() == VALIDATION
    assert drawn["training"].get_linestyle() != drawn["validation"].get_linestyle()
    assert drawn["training"].get_markerfacecolor() != drawn["validation"].get_markerfacecolor()


@pytest.mark.parametrize(("validation", "height"), [(VALIDATION, 2.1), (None, 2.0)])
def test_the_best_epoch_is_marked_on_the_curve_that_chose_it(validation, height):
    figure = training_history(EPOCHS, LOSS, validation, best=2)
    assert [text.get_text() for text in figure.axes[0].texts] == ["best: epoch 2"]
    ring = figure.axes[0].lines[-1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, height)
    figure.draw_without_rendering()
    box, place = figure.axes[0].texts[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert box.y0 >= place.y1


def test_no_mark_and_no_second_curve_unless_asked_for():
    figure = training_history(EPOCHS, LOSS, None)
    assert list(lines(figure)) == ["training"]
    assert not figure.axes[0].texts


def test_infinite_losses_leave_gaps_and_epochs_are_whole_numbers():
    figure = training_history([1, 2], [np.inf, 2.0], [np.nan, np.nan], best=1)
    assert np.isnan(lines(figure)["training"].get_ydata()[0])
    figure.draw_without_rendering()
    assert all(float(tick) % 1 == 0 for tick in figure.axes[0].get_xticks())


def test_many_epochs_have_no_markers():
    figure = training_history(np.arange(500), np.linspace(3, 1, 500), np.linspace(3, 2, 500), best=499)
    assert {line.get_marker() for line in figure.axes[0].lines[:2]} == {"None"}


def test_files(tmp_path):
    training_history(EPOCHS, LOSS, VALIDATION, path=tmp_path / "h.svg")
    assert (tmp_path / "h.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": []}, "epochs must be at least one finite number"),
        ({"epochs": [1, 3, 2]}, "rise from one to the next"),
        ({"loss": [1, 2]}, r"loss has shape \(2,\); expected one number per epoch, shape \(3,\)"),
        ({"validation": ["a", "b", "c"]}, "validation holds something else than numbers"),
        ({"best": 4}, "best=4 is none of the 3 epochs, which are 1.0, 2.0, 3.0"),
        ({"best": "2"}, "best='2' is not allowed"),
        ({"path": "x.gif"}, "must end in one of .png, .pdf, .svg"),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"epochs": EPOCHS, "loss": LOSS, "validation": VALIDATION, **change}
    with pytest.raises(OptionError, match=message):
        training_history(**options)
