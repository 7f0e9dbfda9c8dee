"""TensorFlow, imported late and without its start-up messages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a while: C++ code writes there past ``sys.stderr``."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras quietly; say nothing about processors and drivers.

    The first import takes several seconds, so no module of the course does it before a function
    needs it.  Set ``TF_CPP_MIN_LOG_LEVEL`` yourself to hear the messages.
    """
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first look at devices is what warns
