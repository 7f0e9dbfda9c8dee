"""A process that holds one library and does the work it is told, one line of JSON at a time.

Started as ``python worker.py MODULE``.  The module has ``ENTRIES``: for each library and method
(``"*"``: any) a function ``make(item) -> work`` where ``work()`` does the item's whole work and
returns an array.

Orders: ``{"do": "prepare"}``, ``{"do": "warm" | "time" | "save", "entry", "item", "file"}`` and
``{"do": "call", "function", "arguments"}``.  Each gets one line back, with ``"error"`` where it
failed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import time
import warnings
from typing import Any

import numpy as np


def answer(module: Any, made: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """Do what one order says."""
    import work

    if order["do"] == "prepare":
        return {"sources": work.prepare()}
    if order["do"] == "call":
        return {"value": getattr(module, order["function"])(**order["arguments"])}
    item = work.Item(**order["item"])
    key = json.dumps([order["entry"], order["item"]])
    if key not in made:
        methods = module.ENTRIES[order["entry"]]
        made[key] = methods.get(item.method, methods.get("*"))(item)
        made[key]()  # the first call traces, allocates and warms the caches
    if order["do"] == "warm":
        return {}
    if order["do"] == "save":
        np.save(order["file"], np.asarray(made[key](), np.float32))
        return {}
    gc.collect()
    start = time.perf_counter()
    made[key]()
    return {"seconds": time.perf_counter() - start}


def main(name: str) -> None:
    """Serve until the standard input ends."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log, not among the replies
    made: dict[str, Any] = {}
    try:
        module = importlib.import_module(name)
        ready = {entry: list(methods) for entry, methods in module.ENTRIES.items()}
        print(json.dumps({"ready": ready}), file=replies, flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=replies, flush=True)
        return
    for line in sys.stdin:
        try:
            reply = answer(module, made, json.loads(line))
        except Exception as error:  # whatever a library raises is a result of the comparison
            reply = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
