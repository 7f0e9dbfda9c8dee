"""The tables that `datasets` hands out: Californian districts, or generated houses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from . import storage

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table of numbers with its target column.

    Attributes:
        frame: one row an example, target included.
        target: name of the column to be predicted.
        units: unit of each column.
        source, about: as in `ImageDataset`.
        coefficients: the true coefficients where the table was generated, else None.
    """

    name: str
    frame: pd.DataFrame
    target: str
    units: dict[str, str]
    source: str
    about: str
    coefficients: dict[str, float] | None = None

    def card(self) -> str:
        """One paragraph: what this is, how much, from where, and under which terms."""
        rows, columns = self.frame.shape
        return (
            f"{self.name}: {rows:,} rows, {columns} columns, target {self.target!r}. "
            f"{self.about} Source: {self.source}."
        )


def load_housing() -> Table:
    """Prices of Californian districts (1990 census), or of generated houses, coefficients known.

    The real table has 20,640 rows; 207 of them lack ``total_bedrooms`` and stay as they are.

    Raises:
        storage.DamagedFile, storage.Unavailable: as for `load_neu`.
    """
    import pandas as pd

    try:
        found = storage.fetch("tables/california_housing.csv")
    except storage.Unavailable as missing:
        return replace(simulated_houses(), source=missing.instead("generated houses"))
    return Table(
        name="California housing",
        frame=pd.read_csv(found.path),
        target="median_house_value",
        units={
            "median_house_value": "US$",
            "median_income": "10,000 US$",
            "housing_median_age": "a",
        },
        source=found.source,
        about="Districts of the 1990 census; 207 lack total_bedrooms, values are capped at "
        "500,001 US$. R. K. Pace and R. Barry, Statistics & Probability Letters 33 (1997) 291-297.",
    )


def simulated_houses(n: int = 2000, seed: int = 0) -> Table:
    """Houses whose price is a weighted sum with known coefficients, plus noise.

    Price = 20,000 + 8,000 rooms + 12,000 bathrooms + 1,500 m2 + 30,000 centre + 25,000 detached
    + noise of standard deviation 15,000 US$.  Rooms and bathrooms grow with the area, as they do.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    area = rng.gamma(9.0, 13.0, n).clip(25, 400)
    columns = {
        "rooms": (area / 28 + rng.normal(0, 0.8, n)).round().clip(1, 12),
        "bathrooms": (area / 75 + rng.normal(0, 0.4, n)).round().clip(1, 4),
        "square_metres": area.round(),
        "centre": (rng.random(n) < 0.4).astype(float),
        "detached": (rng.random(n) < 0.3).astype(float),
    }
    weights = dict(zip(columns, (8_000.0, 12_000.0, 1_500.0, 30_000.0, 25_000.0), strict=True))
    price = 20_000 + sum(weights[k] * columns[k] for k in columns) + rng.normal(0, 15_000, n)
    return Table(
        name="Generated houses",
        frame=pd.DataFrame({**columns, "price": price}),
        target="price",
        units={"square_metres": "m2", "price": "US$", "centre": "0 or 1", "detached": "0 or 1"},
        source=f"generated, seed {seed}",
        about="Drawn from a linear model whose coefficients are known; no real sales.",
        coefficients={"intercept": 20_000.0, **weights},
    )
