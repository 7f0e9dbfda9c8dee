"""Plausible wrong answers to the exercises of notebook 19, each with a part of its hint."""

WRONG = {
    "1": [
        (
            "is no multiple of the batch",
            """
            each = 4 * (np.prod(image_shape) + np.prod(map_shape))
            return max(batch, int(memory // each))
            """,
        ),
        (
            "round down",
            """
            each = 4 * (np.prod(image_shape) + np.prod(map_shape))
            return -(-int(memory // each) // batch) * batch
            """,
        ),
        (
            "one batch is the least",
            """
            each = 4 * (np.prod(image_shape) + np.prod(map_shape))
            return int(memory // each) // batch * batch
            """,
        ),
        (
            "takes as much room",
            """
            each = 4 * np.prod(image_shape)
            return max(batch, int(memory // each) // batch * batch)
            """,
        ),
    ],
    "2": [
        (
            "maps at once, and 8 are allowed",
            """
            return np.nanmean(maps[:], axis=0)
            """,
        ),
        (
            "the weight of the others",
            """
            parts = [maps[k : k + chunk] for k in range(0, maps.shape[0], chunk)]
            return np.mean([np.nanmean(part, axis=0) for part in parts], axis=0)
            """,
        ),
        (
            "makes the whole mean NaN",
            """
            total = 0.0
            for first in range(0, maps.shape[0], chunk):
                total = total + maps[first : first + chunk].sum(axis=0, dtype=np.float64)
            return total / len(maps)
            """,
        ),
        (
            "without evidence",
            """
            total = 0.0
            for first in range(0, maps.shape[0], chunk):
                total = total + np.nansum(maps[first : first + chunk], axis=0, dtype=np.float64)
            return total / len(maps)
            """,
        ),
    ],
    "3": [
        (
            "multiply it by the number",
            """
            chunks = -(-images // terms["chunk"])
            left = seconds - terms["start"]
            if left <= 0 or chunks * terms["dispatch"] > left:
                return 0
            each = terms["read"] + terms["compute"] + terms["write"]
            return int(np.ceil(chunks * each / left - 1e-9))
            """,
        ),
        (
            "so it takes 11",
            """
            chunks = -(-images // terms["chunk"])
            left = seconds - terms["start"]
            if left <= 0 or chunks * terms["dispatch"] > left:
                return 0
            each = terms["read"] + terms["chunk"] * terms["compute"] + terms["write"]
            return round(chunks * each / left)
            """,
        ),
        (
            "takes the scheduler 100 seconds",
            """
            chunks = -(-images // terms["chunk"])
            left = seconds - terms["start"]
            if left <= 0:
                return 0
            each = terms["read"] + terms["chunk"] * terms["compute"] + terms["write"]
            return int(np.ceil(chunks * each / left - 1e-9))
            """,
        ),
        (
            "is too few",
            """
            chunks = -(-images // terms["chunk"])
            left = seconds - terms["start"]
            if left <= 0 or chunks * terms["dispatch"] > left:
                return 0
            return int(np.ceil(chunks * terms["chunk"] * terms["compute"] / left))
            """,
        ),
        (
            "201 images are three chunks",
            """
            chunks = images / terms["chunk"]
            left = seconds - terms["start"]
            if left <= 0 or chunks * terms["dispatch"] > left:
                return 0
            each = terms["read"] + terms["chunk"] * terms["compute"] + terms["write"]
            return int(np.ceil(chunks * each / left - 1e-9))
            """,
        ),
    ],
}
