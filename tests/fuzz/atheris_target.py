"""One target of `readers` under atheris: python atheris_target.py NAME CORPUS -max_total_time=...

Run by `run.py`, which says with which options; atheris lies beside, not in the environment.
"""

from __future__ import annotations

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["PIL", "xai_utils", "zipfile", "json", "numpy.lib"]):
    import readers

    for seed in readers.seeds(sys.argv[1]):  # imports late what the reader imports late
        readers.TARGETS[sys.argv[1]](seed)

warnings.simplefilter("ignore")
target = readers.TARGETS[sys.argv[1]]
atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: target(bytes(data)))
atheris.Fuzz()
