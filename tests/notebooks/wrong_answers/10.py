"""Plausible wrong answers to the exercises of notebook 10, each with a part of its hint."""

TWO_MAPS = """
of_first, of_second = (cam.cam(gap, image, target=k)[0] for k in (first, second))
"""

WRONG = {
    "1": [
        ("whatever else", TWO_MAPS + "return of_first, of_first.mean() + b[first]"),
        (
            "speaks for `second`",
            TWO_MAPS
            + """
difference = of_second - of_first
return difference, b[first] - b[second] - difference.mean()
""",
        ),
        (
            "before you take the difference",
            TWO_MAPS
            + """
difference = np.maximum(of_first, 0) - np.maximum(of_second, 0)
return difference, difference.mean() + b[first] - b[second]
""",
        ),
        (
            "its own largest value",
            TWO_MAPS
            + """
difference = of_first - of_second
difference /= np.abs(difference).max()
return difference, difference.mean() + b[first] - b[second]
""",
        ),
        (
            "without the biases",
            TWO_MAPS
            + """
difference = of_first - of_second
return difference, difference.mean()
""",
        ),
        (
            "over the 625 cells",
            TWO_MAPS
            + """
difference = of_first - of_second
return difference, difference.sum() + b[first] - b[second]
""",
        ),
        (
            "take the plate's axis away",
            """
            difference = cam.cam(gap, image, target=first) - cam.cam(gap, image, target=second)
            return difference, difference.mean() + b[first] - b[second]
            """,
        ),
    ],
    "2": [
        (
            "leave it out",
            """
            positive, energy = np.maximum(heats, 0), np.empty(len(labels))
            for k in np.unique(labels):
                of_class = np.flatnonzero(labels == k)
                mean = positive[of_class].mean(axis=0)[None].repeat(len(of_class), axis=0)
                energy[of_class] = metrics.energy_inside(mean, boxes[of_class])
            return energy
            """,
        ),
        (
            "plates of all classes",
            """
            positive = np.maximum(heats, 0)
            return metrics.energy_inside(positive.sum(axis=0) - positive, boxes)
            """,
        ),
        (
            "mean of signed maps",
            """
            energy = np.empty(len(labels))
            for k in np.unique(labels):
                of_class = np.flatnonzero(labels == k)
                others = heats[of_class].sum(axis=0) - heats[of_class]
                energy[of_class] = metrics.energy_inside(others, boxes[of_class])
            return energy
            """,
        ),
        (
            "the others' own scores",
            """
            own, energy = metrics.energy_inside(heats, boxes), np.empty(len(labels))
            for n, k in enumerate(labels):
                others = (labels == k) & (np.arange(len(labels)) != n)
                energy[n] = own[others].mean()
            return energy
            """,
        ),
        (
            "a score of its own",
            """
            positive, energy = np.maximum(heats, 0), []
            for k in np.unique(labels):
                of_class = np.flatnonzero(labels == k)
                others = positive[of_class].sum(axis=0) - positive[of_class]
                energy.append(np.nanmean(metrics.energy_inside(others, boxes[of_class])))
            return energy
            """,
        ),
    ],
}
