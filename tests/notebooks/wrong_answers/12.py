"""Plausible wrong answers to the exercises of notebook 12, each with a part of its hint."""

TWO_MAPS = """
method, maps = on_plates.methods[name], []
for k in (first, second):
    parts = np.asarray(method.explain(on_plates.model, picture, np.array([k])))
    m = evaluation.read_map(name, parts, size, method.reading, method.smooth)[0]
    maps.append(m)
"""

WRONG = {
    "1": [
        (
            "pixel by pixel, grain and all",
            TWO_MAPS + "return metrics.rank_correlation(*(m[None] for m in maps))[0]",
        ),
        (
            "the ranks are asked for",
            TWO_MAPS + "return np.corrcoef(*(cells(m).ravel() for m in maps))[0, 1]",
        ),
        (
            "both maps answer one question",
            TWO_MAPS.replace("np.array([k])", "np.array([first])")
            + "return metrics.rank_correlation(*(cells(m)[None] for m in maps))[0]",
        ),
        (
            "one number for each method",
            TWO_MAPS + "return metrics.rank_correlation(*(cells(m)[None] for m in maps))",
        ),
    ],
    "2": [
        (
            "the controls vote too",
            """
            ruled = [[by_one_rule(m) for m in answers[name].maps] for name in answers]
            votes = np.mean(ruled, axis=0)
            return in_boxes(np.stack([enlarged(v, size[0]) for v in votes])).mean()
            """,
        ),
        (
            "the loudest map decides",
            """
            members = [name for name in answers if name not in CONTROLS]
            votes = np.mean([[cells(m) for m in answers[name].maps] for name in members], axis=0)
            return in_boxes(np.stack([enlarged(v, size[0]) for v in votes])).mean()
            """,
        ),
        (
            "the mean of the members' gains",
            """
            members = [name for name in answers if name not in CONTROLS]
            return np.mean([in_boxes(answers[name].maps).mean() for name in members])
            """,
        ),
        (
            "the mean gain over the plates",
            """
            members = [name for name in answers if name not in CONTROLS]
            ruled = [[by_one_rule(m) for m in answers[name].maps] for name in members]
            votes = np.mean(ruled, axis=0)
            return in_boxes(np.stack([enlarged(v, size[0]) for v in votes]))
            """,
        ),
    ],
}
