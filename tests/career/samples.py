"""Small careers with every kind of column, and networks small enough to train in a test."""

import copy
import functools
import math

import numpy as np
import pandas as pd
import torch
from scipy import special

import econllm as el
from econllm.career.prediction import Predictor
from tests.encoders.conftest import make_encoder

TITLES = {10: "Cook", 20: "Head cook", 30: "Clerk", 40: "Nurse", 50: "Manager"}
CHOICES = el.ChoiceSet.from_titles(TITLES)
# One more, which never occurs, and whose title is near to that of another.
MORE = el.ChoiceSet([*TITLES, 60, 70], [*TITLES.values(), "Head nurse", "Pilot"])
ROLES = {
    "person": "id",
    "time": "year",
    "occupation": "job",
    "static": ["sex", "birth"],
    "dynamic": ["region", "educ"],
    "lagged": ["hours", "sector"],
}
TINY = {"layers": 1, "dim": 16, "heads": 2, "training": el.Training(epochs=2, batch=16, learning_rate=0.01)}


def careers(persons: int = 40, seed: int = 0, longest: int = 6, only: int | None = None) -> pd.DataFrame:
    """Records in random order: gaps in time, missing covariates, persons with a single record."""
    g = np.random.default_rng(seed)
    codes = np.array(list(TITLES))[:only]
    rows = []
    for person in range(persons):
        length = 1 if person % 7 == 0 else int(g.integers(2, longest + 1))
        year, job = 1990 + int(g.integers(4)), g.choice(codes)
        sex, birth = g.choice(["f", "m"]), 1960 + int(g.integers(15))
        for _ in range(length):
            job = job if g.random() < 0.5 else g.choice(codes)
            region = g.choice(["east", "north", "west"]) if g.random() < 0.8 else None
            educ = float(g.integers(8, 18)) if g.random() < 0.8 else np.nan
            hours = 40 + 5 * g.normal() if g.random() < 0.9 else np.nan
            rows.append((person, year, int(job), sex, birth, region, educ, hours, g.choice(["public", "private"])))
            year += int(g.integers(1, 3))
    names = ["id", "year", "job", "sex", "birth", "region", "educ", "hours", "sector"]
    df = pd.DataFrame(rows, columns=names)
    df["weight"] = 0.5 + g.random(len(df))
    return df.sample(frac=1, random_state=seed)


def panel_of(df: pd.DataFrame, titles: el.ChoiceSet = CHOICES, **roles: object) -> el.CareerPanel:
    """The records of :func:`careers` as a panel."""
    return el.CareerPanel(df, titles=titles, **{**ROLES, **roles})


@functools.cache
def panel(persons: int = 40, seed: int = 0, titles: el.ChoiceSet = CHOICES, weights: str | None = None):
    """A panel of these careers; the same object for the same arguments."""
    return panel_of(careers(persons, seed), titles, weights=weights)


@functools.cache
def fitted(choices: el.ChoiceSet = CHOICES, /, **options: object) -> el.CAREERResults:
    """A tiny fit; the same object for the same options."""
    return el.CAREER(**{**TINY, **options}).fit(panel(titles=choices), seed=0)


def loud(results: el.CAREERResults, seed: int = 0, scale: float = 0.3) -> el.CAREERResults:
    """The same result with random weights, large enough that everything the network reads matters."""
    out = copy.deepcopy(results)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in out.predictor.network.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return out


@functools.cache
def encoder(seed: int = 0, hidden: int = 16) -> el.SentenceEncoder:
    """A sentence encoder with random weights, kept for the session in a folder that goes with it."""
    import tempfile
    from pathlib import Path

    folder = tempfile.TemporaryDirectory(prefix="econllm-encoder-")
    _FOLDERS.append(folder)
    return el.SentenceEncoder(str(make_encoder(Path(folder.name), seed, hidden)), cache=False)


_FOLDERS: list[object] = []


def weights_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """All weights in float64."""
    return {name: values.detach().double().numpy() for name, values in network.state_dict().items()}


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether two networks are equal bit for bit."""
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def by_hand(predictor: Predictor, data: el.CareerPanel) -> np.ndarray:
    """Log probabilities of every occupation from the weights alone, person by person and record by record, float64."""
    c, s, w = predictor.coding.read(data, predictor.choices), predictor.network.shape, weights_of(predictor.network)
    vectors = predictor.network.titles
    inputs, outputs = w["occupation.weight"].copy(), w["output.weight"].copy()
    if s.titles:
        spoken = vectors.double().numpy()
        inputs[1:] += spoken @ w["title_input.weight"].T
        outputs += spoken @ w["title_output.weight"].T
    out = []
    for start, length in zip(c.starts, c.lengths, strict=True):
        at = np.arange(start, start + length)
        x = _embedded(c, at, inputs, s, w)
        for layer in range(s.layers):
            x = _block(x, {k.removeprefix(f"blocks.{layer}."): v for k, v in w.items()}, s.heads)
        h = _norm(x, w["norm.weight"], w["norm.bias"])
        for t in np.flatnonzero(c.target[at]):
            logits = outputs @ h[t] + w["output.bias"]
            if s.returns:
                question = w["ask.weight"] @ h[t] + w["ask.bias"]
                for earlier in range(t + 1):
                    if c.last[at[earlier]]:
                        answer = w["answer.weight"] @ h[earlier] + w["answer.bias"]
                        logits[c.last[at[earlier]] - 1] += question @ answer / math.sqrt(s.dim)
            move = float(w["move.weight"][0] @ h[t] + w["move.bias"][0]) if s.two_stage else None
            out.append(_row(logits, move, int(c.last[at[t]]), predictor))
    return np.log(np.array(out))


def _embedded(c, at, inputs, s, w):
    x = inputs[c.last[at]] * math.sqrt(s.dim)
    if c.factors.shape[1]:
        x = x + w["covariates.weight"][c.factors[at]].sum(axis=1)
    if c.numbers.shape[1]:
        bent = c.numbers[at].astype(np.float64) @ w["numbers.weight"].T + w["numbers.bias"]
        x = x + _gelu(bent) @ w["bend.weight"].T
    if s.times:
        x = x + w["times.weight"][c.times[at]]
    if s.position == "learned":
        x = x + w["position.weight"][: len(at)]
    elif s.position == "sinusoidal":
        half = s.dim // 2
        angle = np.arange(len(at))[:, None] / 10_000 ** (np.arange(half) / (half - 1))
        x = x + np.hstack([np.sin(angle), np.cos(angle)])
    return x


def _norm(x, weight, bias):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * weight + bias


def _block(x, w, heads):
    parts = _norm(x, w["before_attention.weight"], w["before_attention.bias"]) @ w["qkv.weight"].T + w["qkv.bias"]
    query, key, value = np.split(parts, 3, axis=1)
    mixed, size = np.zeros_like(x), x.shape[1] // heads
    for head in range(heads):
        at = slice(head * size, (head + 1) * size)
        for t in range(len(x)):
            share = special.softmax(key[: t + 1, at] @ query[t, at] / math.sqrt(size))
            mixed[t, at] = share @ value[: t + 1, at]
    x = x + mixed @ w["out.weight"].T + w["out.bias"]
    up = _norm(x, w["before_ffn.weight"], w["before_ffn.bias"]) @ w["up.weight"].T + w["up.bias"]
    return x + _gelu(up) @ w["down.weight"].T + w["down.bias"]


def _gelu(x):
    return x * (1 + special.erf(x / math.sqrt(2))) / 2


def _row(logits, move, last, predictor):
    """P(y) of one record, with what is set aside for occupations that were never seen."""
    allowed = np.ones(len(logits), dtype=bool)
    if move is not None and last:
        allowed[last - 1] = False
    unseen = np.isin(np.arange(len(logits)), predictor.unseen.positions)
    out = np.zeros(len(logits))
    groups = {True: allowed & unseen, False: allowed & ~unseen}
    for apart, members in groups.items():
        if members.any():
            share = predictor.unseen.reserve if apart else 1 - predictor.unseen.reserve
            share = share if groups[not apart].any() else 1.0
            out[members] = share * special.softmax(logits[members])
    if move is not None and last:
        out *= special.expit(move)
        out[last - 1] = special.expit(-move)
    return out
