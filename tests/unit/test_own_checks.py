"""The sentences that say how far a map can be trusted: where a verdict turns."""

from __future__ import annotations

import numpy as np
import pytest

from xai_utils._own_checks import _verdict, check_sum
from xai_utils._suggestions import did_you_mean, or_known


@pytest.mark.parametrize(
    ("fall", "less", "verdict"),
    [
        (2.0, 20, "passed, 19 are needed"),
        (2.0, 19, "passed, 19 are needed"),
        (2.0, 18, "not passed, 19 are needed"),
        (-1.0, 20, "not passed, the network does not need what is marked"),
    ],
)
def test_a_map_passes_from_19_of_20_places_on(fall: float, less: int, verdict: str) -> None:
    assert _verdict(fall, less) == verdict


@pytest.mark.parametrize(
    ("rise", "words"),
    [
        (8.4, "rises by 8.40. Off by 5%: close enough."),
        (9.0, "rises by 9.00. Off by 11%: more than 5%, so look where the shares lie, but do not"),
        (-8.0, "rises by -8.00. Off by 200%: more than 5%"),
        (0.0, "rises by 0.00. Off by 8.00: more than 5%"),
    ],
)
def test_a_sum_is_close_within_five_percent(rise: float, words: str) -> None:
    said = check_sum(np.full((2, 2), 2, np.float32), rise)
    assert said.startswith("The shares sum to 8.00; ")
    assert words in said


@pytest.mark.parametrize(
    ("given", "near"),
    [("gradcam", "'grad_cam'"), ("Grad-CAM", "'grad_cam'"), ("salency", "'saliency'")],
)
def test_a_misspelt_name_is_recognised(given: str, near: str) -> None:
    assert did_you_mean(given, ["lime", "grad_cam", "saliency"]) == f"did you mean {near}?"


def test_what_is_like_nothing_only_lists() -> None:
    assert did_you_mean("walrus", ["lime", "grad_cam"]) == ""
    assert or_known("walrus", ["lime", "cam"]) == "known: lime, cam"
    assert or_known("lima", ["lime", "cam"]) == "did you mean 'lime'? Known: lime, cam"
