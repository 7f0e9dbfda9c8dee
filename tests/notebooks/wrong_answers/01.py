"""Plausible wrong answers to the exercises of notebook 01, each with a part of its hint."""

NEAREST = """
others = distance + np.diag(np.full(len(distance), np.inf))
apart = np.where(sheets[:, None] == sheets, np.inf, distance)
nearest, elsewhere = others.argmin(axis=1), apart.argmin(axis=1)
share = (sheets[nearest] == sheets).mean()
"""

WRONG = {
    "1": [
        (
            "hold one plate",
            """
            groups = {}
            for i, plate in enumerate(plates):
                groups.setdefault(plate.tobytes(), []).append(i)
            return list(groups.values())
            """,
        ),
        (
            "forgets where a pixel lies",
            """
            groups = {}
            for i, plate in enumerate(plates):
                groups.setdefault(np.bincount(plate.ravel(), minlength=256).tobytes(), []).append(i)
            return [group for group in groups.values() if len(group) > 1]
            """,
        ),
        (
            "by one grey level in one pixel",
            """
            groups = {}
            for i, plate in enumerate(plates):
                groups.setdefault((plate // 64).tobytes(), []).append(i)
            return [group for group in groups.values() if len(group) > 1]
            """,
        ),
        (
            "you report pairs",
            """
            first, pairs = {}, []
            for i, plate in enumerate(plates):
                if plate.tobytes() in first:
                    pairs.append([first[plate.tobytes()], i])
                first.setdefault(plate.tobytes(), i)
            return pairs
            """,
        ),
    ],
    "2": [
        (
            "make the diagonal infinite",
            """
            nearest = distance.argmin(axis=1)
            apart = np.where(sheets[:, None] == sheets, np.inf, distance)
            elsewhere = apart.argmin(axis=1)
            lost = (labels[nearest] == labels) * 1.0 - (labels[elsewhere] == labels)
            losses = [lost[labels == k].mean() for k in np.unique(labels)]
            return (sheets[nearest] == sheets).mean(), losses
            """,
        ),
        (
            "turn the sign round",
            NEAREST
            + """
gained = (labels[elsewhere] == labels) * 1.0 - (labels[nearest] == labels)
return share, [gained[labels == k].mean() for k in np.unique(labels)]
""",
        ),
        (
            "one loss for each of the three classes",
            NEAREST
            + """
return share, ((labels[nearest] == labels) * 1.0 - (labels[elsewhere] == labels)).mean()
""",
        ),
        (
            "forbid all of its plates",
            """
            others = distance + np.diag(np.full(len(distance), np.inf))
            nearest = others.argmin(axis=1)
            others[np.arange(len(others)), nearest] = np.inf
            elsewhere = others.argmin(axis=1)
            lost = (labels[nearest] == labels) * 1.0 - (labels[elsewhere] == labels)
            losses = [lost[labels == k].mean() for k in np.unique(labels)]
            return (sheets[nearest] == sheets).mean(), losses
            """,
        ),
    ],
}
