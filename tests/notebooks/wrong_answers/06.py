"""Plausible wrong answers to the exercises of notebook 06, each with a part of its hint."""

FOUND = """
found = tabular.surrogate_tree(lambda frame: says, frame, depth=depth)
_, unseen, _, said = train_test_split(frame, says, test_size=0.3, random_state=0)
imitated = found.tree.predict(unseen)
"""

WRONG = {
    "1": [
        (
            "needs both at once",
            """
            either = (frame["warmer"] < 8.6) | (frame["speed"] < 1380)
            return frame.assign(heat=either.astype(float))
            """,
        ),
        (
            "second condition is missing",
            'return frame.assign(heat=(frame["warmer"] < 8.6).astype(float))',
        ),
        (
            "first condition is missing",
            'return frame.assign(heat=(frame["speed"] < 1380).astype(float))',
        ),
        (
            "the other way round",
            """
            both = (frame["warmer"] > 8.6) & (frame["speed"] > 1380)
            return frame.assign(heat=both.astype(float))
            """,
        ),
        (
            "should keep its columns",
            """
            both = (frame["warmer"] < 8.6) & (frame["speed"] < 1380)
            return pd.DataFrame({"heat": both.astype(float)})
            """,
        ),
    ],
    "2": [
        (
            "most of them nobody doubts",
            "return tabular.surrogate_tree(lambda frame: says, frame, depth=depth).fidelity",
        ),
        ("among the box's alarms", FOUND + "return (said[imitated == 1] == 1).mean()"),
        (
            "fitted to, too",
            """
            found = tabular.surrogate_tree(lambda frame: says, frame, depth=depth)
            return (found.tree.predict(frame)[says == 1] == 1).mean()
            """,
        ),
        (
            "is the depth handed on",
            """
            found = tabular.surrogate_tree(lambda frame: says, frame, depth=1)
            _, unseen, _, said = train_test_split(frame, says, test_size=0.3, random_state=0)
            return (found.tree.predict(unseen)[said == 1] == 1).mean()
            """,
        ),
    ],
}
