"""How right an explanation is: does it lie where it should, and say what the network does?

Four questions, and four families of short functions:

- *does it find what is there?*  Localisation against boxes or masks, always beside `chance`.
- *does it tell what the network uses?*  Faithfulness: pixels go in the map's order.
- *does it depend on the model?*  Sanity: random weights, shuffled labels, and edges that
  know no model.
- *does it stay, and is it simple?*  Robustness and complexity.

They can disagree, because they ask different things.  Networks whose truth is known by construction
are in `xai_utils.ground_truth`.
"""

from __future__ import annotations

from ._faithfulness import Curve, deletion, insertion, pixel_flipping, removal_curve, road
from ._gain import bootstrap_interval, is_it_complete, is_it_right
from ._localisation import (
    METRICS,
    auc_inside,
    box_mask,
    centred_blob,
    chance,
    energy_inside,
    gain_over_chance,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from ._robustness import entropy, max_sensitivity, repeatability, sparseness
from ._sanity import (
    Likeness,
    label_randomisation,
    randomise_weights,
    rank_correlation,
    sobel_edges,
    ssim,
    untrained,
)

__all__ = [
    "METRICS",
    "Curve",
    "Likeness",
    "auc_inside",
    "bootstrap_interval",
    "box_mask",
    "centred_blob",
    "chance",
    "deletion",
    "energy_inside",
    "entropy",
    "gain_over_chance",
    "insertion",
    "is_it_complete",
    "is_it_right",
    "label_randomisation",
    "max_sensitivity",
    "pixel_flipping",
    "pointing_game",
    "randomise_weights",
    "rank_correlation",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "removal_curve",
    "repeatability",
    "road",
    "sobel_edges",
    "sparseness",
    "ssim",
    "untrained",
]
