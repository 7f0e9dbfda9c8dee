"""The production line: its rules reproduce the published flags, its stand-in obeys them."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from xai_utils import _production, datasets, storage

real = pytest.mark.skipif(
    "XAI_DATA_DIR" not in os.environ, reason="XAI_DATA_DIR is not set: no real data to look at"
)


@pytest.fixture(scope="module")
def generated() -> datasets.ProductionLine:
    return datasets.simulated_production()


@real
def test_rules_reproduce_every_published_flag() -> None:
    line = datasets.load_production()
    assert line.modes is not None
    rules = datasets.known_rules(line.frame)
    for name, count in {"HDF": 115, "PWF": 95, "OSF": 98}.items():
        np.testing.assert_array_equal(rules[name], line.modes[name])
        assert line.modes[name].sum() == count
    np.testing.assert_array_equal(datasets.known_rules(line.inputs), rules)


@real
def test_published_oddities_are_kept_and_counted_right() -> None:
    line = datasets.load_production()
    assert line.modes is not None
    failed = line.frame[line.target] == 1
    assert failed.sum() == 339
    assert (failed & ~line.modes.any(axis=1)).sum() == 9
    assert (line.modes["RNF"] & ~failed).sum() == 18
    assert line.frame.columns.tolist() == [*_production.FEATURES, line.target]


@pytest.mark.usefixtures("nothing_at_hand")
def test_default_says_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = datasets.load_production()
    assert line.source == "embedded default: a generated production line"
    assert "ai4i2020.csv: not at hand; using a generated" in capsys.readouterr().out
    assert "10,000 rows" in line.card()
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.Unavailable, match="found nowhere"):
        datasets.load_production()


def test_no_mode_is_a_feature(generated: datasets.ProductionLine) -> None:
    for frame in (generated.frame, generated.inputs):
        assert not set(frame) & set(_production.MODES)
    assert generated.inputs.columns.tolist() == list(_production.FEATURES)
    assert sorted(generated.inputs["Type"].unique()) == [0, 1, 2]
    assert set(generated.inputs.dtypes) == {np.dtype(float)}


def test_generated_failures_are_the_modes(generated: datasets.ProductionLine) -> None:
    assert generated.modes is not None
    np.testing.assert_array_equal(
        generated.frame[generated.target], generated.modes.any(axis=1).astype(int)
    )
    rules = datasets.known_rules(generated.frame)
    pd.testing.assert_frame_equal(generated.modes[rules.columns.tolist()], rules)
    np.testing.assert_array_equal(generated.labels, rules.any(axis=1))
    assert generated.modes.sum().between(5, 200).all()


def test_generated_line_is_like_the_published_one(generated: datasets.ProductionLine) -> None:
    x = generated.inputs
    published = {  # mean and deviation in the published file
        _production.AIR: (300.0, 2.0),
        _production.SPEED: (1538.8, 179.3),
        _production.TORQUE: (40.0, 10.0),
        _production.WEAR: (108.0, 63.7),
    }
    for name, (mean, deviation) in published.items():
        assert x[name].mean() == pytest.approx(mean, rel=0.03)
        assert x[name].std() == pytest.approx(deviation, rel=0.05)
    assert x[_production.SPEED].corr(x[_production.TORQUE]) == pytest.approx(-0.875, abs=0.02)
    assert x[_production.WEAR].max() < 240
    assert generated.modes is not None
    assert x[_production.WEAR][generated.modes["TWF"]].min() > 190


def test_generated_line_repeats_and_follows_its_seed() -> None:
    one, same, other = (datasets.simulated_production(500, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, same.frame)
    assert not one.frame.equals(other.frame)
    assert len(datasets.simulated_production(1).frame) == 1


@pytest.mark.parametrize(
    ("change", "mode"),
    [
        ({_production.SPEED: 1379, _production.PROCESS: 308.5}, "HDF"),
        ({_production.SPEED: 1380, _production.PROCESS: 308.5}, None),
        ({_production.SPEED: 1379, _production.PROCESS: 309.0}, None),
        ({_production.TORQUE: 22.2}, "PWF"),  # 3,487 W
        ({_production.TORQUE: 22.3}, None),  # 3,503 W
        ({_production.TORQUE: 57.2, _production.WEAR: 0}, None),  # 8,985 W
        ({_production.TORQUE: 57.3, _production.WEAR: 0}, "PWF"),  # 9,001 W
        ({_production.WEAR: 275}, None),  # 11,000 min Nm
        ({_production.WEAR: 276}, "OSF"),
        ({_production.WEAR: 276, "Type": "M"}, None),
        ({_production.WEAR: 301, "Type": "M"}, "OSF"),
        ({_production.WEAR: 301, "Type": "H"}, None),
        ({_production.WEAR: 326, "Type": "H"}, "OSF"),
    ],
)
def test_rules_at_their_edges(change: dict[str, object], mode: str | None) -> None:
    piece = dict(zip(_production.FEATURES, ("L", 300.0, 310.0, 1500, 40.0, 100), strict=True))
    found = datasets.known_rules(pd.DataFrame([piece | change])).iloc[0]
    assert found[found].index.tolist() == ([] if mode is None else [mode])


def test_rules_refuse_other_tables(generated: datasets.ProductionLine) -> None:
    with pytest.raises(ValueError, match=r"lacks Torque \[Nm\]"):
        datasets.known_rules(generated.frame.drop(columns="Torque [Nm]"))
    with pytest.raises(ValueError, match="Type 'X'; expected L, M or H"):
        datasets.known_rules(generated.frame.assign(Type="X"))
