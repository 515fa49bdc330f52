"""Vectors of occupations: what they are, who is near whom, and where they lie on the map."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
from econllm.career.occupations import OccupationEmbeddings, find_occupation
from econllm.errors import DataError, OptionError
from tests.career.samples import CHOICES, MORE, encoder, fitted, loud

CODES = [10, 20, 30, 40, 50]


def made(vectors, choices=CHOICES, order=None, kind="output"):
    frame = pd.DataFrame(np.asarray(vectors, dtype=float), index=choices.index)
    return OccupationEmbeddings(kind, frame, choices, np.arange(len(choices)) if order is None else np.array(order))


@pytest.fixture
def jobs():
    g = np.random.default_rng(3)
    return made(g.normal(size=(5, 6)) + 4)


def test_input_and_output_vectors_are_the_networks():
    fit = loud(fitted())
    network = fit.predictor.network
    inputs, outputs = (fit.occupation_embeddings(kind) for kind in ("input", "output"))
    assert inputs.frame.dtypes.eq(np.float64).all()
    assert np.array_equal(inputs.frame, network.occupation.weight[1:].detach().double())
    assert np.array_equal(outputs.frame, network.output.weight.detach().double())
    assert inputs.frame.index.tolist() == CODES
    assert list(outputs.frame)[:2] == ["output_0", "output_1"]
    assert repr(inputs) == "<OccupationEmbeddings: input, 5 occupations, 16 dimensions>"
    with pytest.raises(OptionError, match="Did you mean 'output'"):
        fit.occupation_embeddings("outputs")


def test_titles_are_part_of_the_vectors():
    fit = loud(fitted(titles=encoder()))
    network = fit.predictor.network
    spoken = network.titles.double().numpy() @ network.title_input.weight.detach().double().numpy().T
    expected = network.occupation.weight[1:].detach().double().numpy() + spoken
    assert fit.occupation_embeddings("input").frame.to_numpy() == pytest.approx(expected, abs=1e-5)


def test_neighbours_by_hand(jobs):
    centred = jobs.frame.to_numpy() - jobs.frame.to_numpy().mean(axis=0)
    cosine = {
        code: centred[2] @ row / np.sqrt((centred[2] @ centred[2]) * (row @ row))
        for code, row in zip(CODES, centred, strict=True)
        if code != 30
    }
    near = jobs.neighbours(30)
    assert near["code"].tolist() == sorted(cosine, key=lambda code: -cosine[code])
    assert near["similarity"].tolist() == pytest.approx([cosine[code] for code in near["code"]])
    assert near["title"].tolist() == [CHOICES.title(code) for code in near["code"]]
    pd.testing.assert_frame_equal(jobs.neighbours("Clerk", k=2), near.head(2))
    assert jobs.neighbours(np.int64(30), k=1)["code"].tolist() == near["code"].tolist()[:1]


def test_what_all_vectors_share_does_not_count(jobs):
    """The softmax does not see it either."""
    moved = made(jobs.frame.to_numpy() + np.array([100.0, 0, -50, 0, 0, 3]))
    pd.testing.assert_frame_equal(moved.neighbours(10), jobs.neighbours(10), atol=1e-10)


def test_wrong_names_and_numbers_are_refused(jobs):
    with pytest.raises(DataError, match=r"'clerks' is neither a code nor a title .* Did you mean 'Clerk'"):
        jobs.neighbours("clerks")
    with pytest.raises(DataError, match="31 is neither a code nor a title"):
        jobs.neighbours(31)
    for k in (0, 1.5, True):
        with pytest.raises(OptionError, match=r"k=.* whole number of at least 1"):
            jobs.neighbours(10, k=k)


def test_a_code_comes_before_a_title():
    assert find_occupation(el.ChoiceSet(["b", "a"], ["a", "c"]), "a") == 1
    assert find_occupation(el.ChoiceSet([1, 2], ["2", "1"]), "2") == 0
    assert find_occupation(el.ChoiceSet([1, 2]), 2.0) == 1
    with pytest.raises(DataError, match="True is neither"):
        find_occupation(el.ChoiceSet([1, 2]), True)


def test_occupations_never_seen_say_so():
    for kind in ("input", "output"):
        found = fitted(MORE).occupation_embeddings(kind)
        assert found.known.tolist() == [True] * 5 + [False] * 2
        assert set(found.neighbours(10)["code"]) == {20, 30, 40, 50}
        assert found.map().index.tolist() == CODES
        with pytest.raises(DataError, match=r"70 \(Pilot\) never occurred in estimation and the model reads no titles"):
            found.neighbours("Pilot")


def test_with_titles_occupations_never_seen_have_neighbours():
    found = fitted(MORE, titles=encoder()).occupation_embeddings("output")
    assert found.known.all()
    assert len(found.neighbours("Head nurse")) == 6
    assert len(found.map()) == 7


def test_occupations_that_go_the_same_way_are_near():
    """Two pairs of occupations that lead to the same places: each is the other's nearest neighbour."""
    g = np.random.default_rng(0)
    to = {1: (5, 6), 2: (5, 6), 3: (7, 8), 4: (7, 8)}
    rows = []
    for person in range(400):
        job = int(g.integers(1, 5))
        rows += [(person, 0, job), (person, 1, int(g.choice(to[job])))]
    data = el.CareerPanel(pd.DataFrame(rows, columns=["id", "t", "job"]), "id", "t", "job")
    training = el.Training(epochs=15, batch=32, learning_rate=0.01)
    fit = el.CAREER(layers=1, dim=16, heads=2, dropout=0.0, training=training).fit(data, seed=0)
    inputs = fit.occupation_embeddings("input")
    assert [inputs.neighbours(job)["code"].iloc[0] for job in (1, 2, 3, 4)] == [2, 1, 4, 3]


def test_the_map_keeps_distances_that_fit_into_a_plane():
    g = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    plane, _ = np.linalg.qr(g.normal(size=(6, 2)))
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    jobs = made(circle @ plane.T + 2)
    points = jobs.map()[["x", "y"]].to_numpy()
    assert points @ points.T == pytest.approx(circle @ circle.T, abs=1e-10)
    assert "100%" in jobs.plot()._suptitle.get_text()


def test_the_map_is_that_of_unit_vectors_and_has_one_sign(jobs):
    centred = jobs.frame.to_numpy() - jobs.frame.to_numpy().mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    left, size, right = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    sign = np.sign(right[[0, 1], np.abs(right[:2]).argmax(axis=1)])
    found = jobs.map()
    assert found[["x", "y"]].to_numpy() == pytest.approx((left * size)[:, :2] * sign, abs=1e-10)
    assert found["title"].tolist() == list(CHOICES.titles)
    assert found.index.tolist() == CODES


def test_a_map_needs_three_occupations():
    jobs = made([[1.0, 2], [2, 1], [0, 0], [0, 0], [0, 0]])
    for call in (jobs.map, jobs.plot):
        with pytest.raises(DataError, match="2 occupations have a vector; a map needs at least three"):
            call()
    one = made([[1.0, 2], [0, 0], [0, 0], [0, 0], [0, 0]])
    assert one.neighbours(10).empty


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_figure_names_common_destinations_first(jobs, tmp_path):
    ordered = made(jobs.frame, order=[3, 1, 0, 2, 4])
    assert texts(ordered.plot(tmp_path / "map.png", show=2)) == ["Nurse", "Head cook"]
    assert (tmp_path / "map.png").stat().st_size > 1000
    points = ordered.plot(show=0).axes[0].lines[0].get_xydata()
    assert points[0] == pytest.approx(ordered.map().loc[40, ["x", "y"]].to_numpy(dtype=float))


def test_the_order_is_that_of_intercepts():
    fit = copy.deepcopy(fitted())
    with torch.no_grad():
        fit.predictor.network.output.bias.copy_(torch.tensor([0.0, 3.0, -1.0, 5.0, 1.0]))
    assert fit.occupation_embeddings().order.tolist() == [3, 1, 4, 0, 2]


@pytest.mark.parametrize(
    "groups",
    [
        {10: "food", 20: "food", 30: "office", 40: "care", 50: "office"},
        pd.Series(["food", "food", "office", "care", "office"], index=CODES),
        ["food", "food", "office", "care", "office"],
        np.array(["food", "food", "office", "care", "office"]),
    ],
    ids=["mapping", "series", "list", "array"],
)
def test_groups_by_code_or_in_order(jobs, groups):
    ordered = made(jobs.frame, order=[4, 3, 2, 1, 0])
    figure = ordered.plot(groups=groups)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert set(lines) == {"food", "office", "care"}
    assert lines["care"] == pytest.approx(ordered.map().loc[[40], ["x", "y"]].to_numpy())
    assert lines["food"] == pytest.approx(ordered.map().loc[[20, 10], ["x", "y"]].to_numpy())


def test_groups_that_do_not_fit_are_refused(jobs):
    with pytest.raises(DataError, match="groups has no group for 2 occupations: 40, 50"):
        jobs.plot(groups={10: "a", 20: "a", 30: "b"})
    with pytest.raises(OptionError, match="groups has 2 entries for 5 occupations"):
        jobs.plot(groups=["a", "b"])
    with pytest.raises(OptionError, match="give a mapping from code to group"):
        jobs.plot(groups="sector")
