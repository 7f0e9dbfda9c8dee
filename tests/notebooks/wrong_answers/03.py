"""Plausible wrong answers to the exercises of notebook 03, each with a part of its hint."""

PHYSICS = """
return pd.DataFrame(
    {{
        "Type": frame["Type"],
        "power": {power},
        "warmer": {warmer},
        "strain": {strain},
        SPEED: frame[SPEED],
    }}
)
"""
GOOD = {
    "power": "frame[TORQUE] * frame[SPEED] * 2 * np.pi / 60",
    "warmer": "frame[PROCESS] - frame[AIR]",
    "strain": "frame[WEAR] * frame[TORQUE]",
}

WRONG = {
    "1": [
        (
            "read from the mean of the curves",
            """
            above = ice(f, pieces, WEAR, grid).mean(axis=0) > 0.5
            return np.full(len(pieces), grid[above.argmax()])
            """,
        ),
        (
            "look at each curve by itself",
            "return grid[(ice(f, pieces, WEAR, grid).mean(axis=0) > 0.5).argmax()]",
        ),
        (
            "where the curves are highest",
            "return grid[ice(f, pieces, WEAR, grid).argmax(axis=1)]",
        ),
        (
            "without any True",
            "return grid[(ice(f, pieces, WEAR, grid) > 0.5).argmax(axis=1)]",
        ),
        (
            "from the start",
            """
            above = ice(f, pieces, WEAR, grid) > 0.5
            return np.where(above.any(axis=1), grid[above.argmax(axis=1)], np.nan)
            """,
        ),
    ],
    "2": [
        ("in watts", PHYSICS.format(**GOOD | {"power": "frame[TORQUE] * frame[SPEED]"})),
        ("radians", PHYSICS.format(**GOOD | {"power": "frame[TORQUE] * frame[SPEED] / 60"})),
        (
            "turn the difference round",
            PHYSICS.format(**GOOD | {"warmer": "frame[AIR] - frame[PROCESS]"}),
        ),
        ("the *product*", PHYSICS.format(**GOOD | {"strain": "frame[WEAR] + frame[TORQUE]"})),
        (
            "in the place of the old ones",
            """
            return frame.assign(
                power=frame[TORQUE] * frame[SPEED] * 2 * np.pi / 60,
                warmer=frame[PROCESS] - frame[AIR],
                strain=frame[WEAR] * frame[TORQUE],
            )
            """,
        ),
    ],
}
