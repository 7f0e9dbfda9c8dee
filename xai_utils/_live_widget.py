"""A live picture: the browser asks, the kernel answers, and nothing is kept in the notebook.

The browser (`live.js`) sends what the reader has set, and waits for the frame before it asks again,
with the newest state; so strokes never queue up, however slow the kernel.  Nothing but the list of
controls is a trait of the widget.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import plots
from ._live_frame import Control, Frame

HERE = Path(__file__).parent
Ink = NDArray[np.float32]
Answer = Callable[[dict[str, Any], Ink | None], Frame]


class Live:
    """A picture that answers in JupyterLab, and is a figure with alternative text elsewhere.

    Shown as the last value of a cell.  Where the cell was run from JupyterLab or Notebook 7, which
    name the cell in what they ask of the kernel, the reader gets the controls; everywhere else, and
    in a notebook that is executed by a program, the figure of the first state.  `widget` gives the
    controls themselves, for other front ends that show widgets.

    Args:
        title: of the picture.
        answer: makes a `Frame` from the controls' values, by name, and the drawing ``(H, W, 1)`` in
            [0, 1], or None where nothing is drawn.
        controls: what the reader can set.
        pages: name -> drawing to begin with, one button each; the first is the first state.
        places: the two controls, of row and column, that follow the pointer on the first panel.
    """

    def __init__(
        self,
        title: str,
        answer: Answer,
        controls: Sequence[Control] = (),
        *,
        pages: Mapping[str, Ink] | None = None,
        places: tuple[str, str] | None = None,
    ) -> None:
        self.title, self.answer, self.controls = title, answer, list(controls)
        self.pages, self.places = dict(pages or {}), places

    def first(self) -> Frame:
        """The frame of the first state."""
        values = {control.name: control.value for control in self.controls}
        return self.answer(values, next(iter(self.pages.values()), None))

    def spec(self) -> dict[str, Any]:
        """What the browser has to know before it asks."""
        spec: dict[str, Any] = {
            "title": self.title,
            "controls": [{**vars(c), "options": list(c.options)} for c in self.controls],
            "places": list(self.places or ()),
            "pages": [],
        }
        if self.pages:
            sizes = {page.shape[:2] for page in self.pages.values()}
            ((height, width),) = sizes
            spec["page"] = {"height": height, "width": width}
            spec["pages"] = [
                {"name": name, "ink": np.rint(255 * page).astype(int).ravel().tolist()}
                for name, page in self.pages.items()
            ]
        return spec

    def reply(
        self, question: Mapping[str, Any], buffers: Sequence[Any]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Answer one message of the browser; what goes wrong is told to the reader there."""
        same = {"view": question.get("view"), "number": question.get("number")}
        try:
            ink = None
            if self.pages:
                shape = next(iter(self.pages.values())).shape
                ink = np.asarray(
                    np.frombuffer(buffers[0], np.uint8).reshape(shape) / 255, np.float32
                )
            content, colours = self.answer(dict(question["values"]), ink).message()
        except Exception as error:  # a widget's error would end in a log that nobody reads
            return {**same, "error": f"{type(error).__name__}: {error}"}, []
        return {**same, **content}, colours

    def widget(self) -> Any:
        """A new widget, for a front end that shows widgets."""
        return _widget_class()(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        png, alt = plots.as_png(*self.first().figure(self.title))
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": f"<{self.title}>"}
        if asked_by_a_reader():
            # IPython takes its hook's result as a dictionary, or with metadata as a pair.
            shown = self.widget()._repr_mimebundle_()
            data |= shown[0] if isinstance(shown, tuple) else shown
        return data, {"image/png": {"alt": alt}}


def asked_by_a_reader() -> bool:
    """Say whether the running cell was sent by a front end that names the cell (JupyterLab)."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    return "cellId" in (kernel.get_parent() or {}).get("metadata", {})


@functools.cache
def _widget_class() -> Any:
    """The widget; anywidget is imported only where one is shown."""
    import anywidget
    import traitlets

    class Screen(anywidget.AnyWidget):
        """The controls and the panels of a `Live`."""

        _esm = HERE / "live.js"
        _css = HERE / "live.css"
        spec = traitlets.Dict().tag(sync=True)

        def __init__(self, live: Live) -> None:
            super().__init__(spec=live.spec())
            self.on_msg(lambda _, asked, buffers: self.send(*live.reply(asked, buffers)))

    return Screen
