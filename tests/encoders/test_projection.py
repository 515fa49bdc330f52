import numpy as np
import pytest

from econllm.encoders import Projection
from econllm.errors import DataError, OptionError


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(50, 3)) @ generator.normal(size=(3, 8)) + 0.1 * generator.normal(size=(50, 8))
    values[:, [2, 5]] = 4.0
    return values.astype(np.float32)


def test_equals_singular_values(rows):
    pca = Projection.fit(rows, 4)
    centred = rows.astype(float) - rows.astype(float).mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    scores = pca.apply(rows)
    np.testing.assert_allclose(np.abs(scores), np.abs(left[:, :4] * sizes[:4]), atol=1e-9)
    np.testing.assert_allclose(pca.shares, (sizes**2 / (sizes**2).sum())[:4], atol=1e-12)
    np.testing.assert_allclose(pca.loadings.T @ pca.loadings, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-12)


def test_signs_do_not_depend_on_the_order_of_rows(rows):
    forward, backward = Projection.fit(rows, 4), Projection.fit(rows[::-1].copy(), 4)
    np.testing.assert_allclose(forward.loadings, backward.loadings, atol=1e-9)
    assert (forward.loadings[np.abs(forward.loadings).argmax(0), range(4)] > 0).all()


def test_constant_columns_survive(rows):
    pca = Projection.fit(rows, 6)
    np.testing.assert_allclose(pca.loadings[[2, 5]], 0, atol=1e-9)
    assert np.isfinite(pca.apply(rows)).all()


def test_weights_are_repeated_rows(rows):
    counts = np.arange(50) % 3
    weighted, repeated = Projection.fit(rows, 3, counts), Projection.fit(np.repeat(rows, counts, axis=0), 3)
    np.testing.assert_allclose(weighted.loadings, repeated.loadings, atol=1e-9)
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-12)


def test_many_rows_are_taken_in_chunks(rows):
    many = np.tile(rows, (400, 1))
    np.testing.assert_allclose(Projection.fit(many, 3).loadings, Projection.fit(rows, 3).loadings, atol=1e-9)
    np.testing.assert_allclose(Projection.fit(rows, 3).apply(many)[-50:], Projection.fit(rows, 3).apply(rows))


def test_state_round_trip(rows):
    pca = Projection.fit(rows, 3)
    np.testing.assert_array_equal(Projection.from_state(pca.to_state()).apply(rows), pca.apply(rows))


@pytest.mark.parametrize(
    ("components", "message"),
    [
        (0, "components=0 is not allowed"),
        (2.5, "components=2.5"),
        (9, r"more than min\(rows, dimensions\) = min\(50, 8\)"),
        (7, "more than the 6 directions"),
    ],
)
def test_too_many_components(rows, components, message):
    with pytest.raises(OptionError, match=message):
        Projection.fit(rows, components)


def test_equal_texts_have_no_components():
    with pytest.raises(OptionError, match="more than the 0 directions"):
        Projection.fit(np.ones((5, 4)), 1)


def test_bad_vectors(rows):
    with pytest.raises(DataError, match="finite"):
        Projection.fit(np.where(rows == rows[0, 0], np.nan, rows), 2)
    with pytest.raises(DataError, match="fitted on 8 dimensions"):
        Projection.fit(rows, 2).apply(rows[:, :5])
