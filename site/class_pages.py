"""The tables of the lecturer's guide on a class on one server: what was measured, what follows."""

from __future__ import annotations

import json
from typing import Any

from course_data import ROOT, Course

MEASURED = ROOT / "data" / "class.json"
MISSING = "This has not been measured yet; `python benchmarks/class.py` does that."
STUDENTS = 200
SYSTEM = 4e9  # bytes for the system, the hub, its proxy and the files that are kept in memory
AT_ONCE = (0.1, 0.25, 1.0)  # of the students, who start the same notebook in the same moment
CORES = (8, 16, 32, 64)


def _read() -> dict[str, Any]:
    return dict(json.loads(MEASURED.read_text(encoding="utf-8"))) if MEASURED.exists() else {}


def _mega(count: float) -> str:
    return f"{count / 1e6:,.0f}"


def _load(measured: dict[str, Any], step: str) -> list[str]:
    """How busy the machine was, so that nobody takes shared time for a notebook's own."""
    load = measured.get("load", {}).get(step)
    if load is None:
        return []
    said = f"The load of the machine was {load:.1f} at the end of this measurement"
    cores = measured["machine"]["cores"]
    return ["", f"{said}; beyond its {cores} cores, processor seconds are the fairer measure."]


def start(course: Course) -> str:
    """What a kernel takes before anything is computed."""
    measured = _read()
    if "start" not in measured or "server" not in measured:
        return MISSING
    lines = [
        "| a kernel that has imported | ready after, seconds | PSS, MB | of it private, MB |",
        "|---|--:|--:|--:|",
    ]
    for name, run in measured["start"].items():
        cells = (name, f"{run['seconds']:.1f}", _mega(run["pss"]), _mega(run["private"]))
        lines.append(f"| {' | '.join(cells)} |")
    server = measured["server"]
    lines.append(
        f"| *the student's JupyterLab itself, beside a second one* | {server['seconds']:.1f} "
        f"| {_mega(server['pss'])} | {_mega(server['private'])} |"
    )
    lines += _load(measured, "start")
    return "\n".join(lines)


def notebooks(course: Course) -> str:
    """What each notebook takes, run to its end."""
    measured = _read()
    if "notebooks" not in measured:
        return MISSING
    lines = [
        "| notebook | seconds | processor seconds | PSS, MB | counted by the limit, MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, run in measured["notebooks"].items():
        title = course.titles.get(name.removesuffix(".ipynb"))
        link = f"[{title}](notebooks/{name})" if title else name
        failed = f" **{run['failures'][0]}**" if "failures" in run else ""
        times = f"{run['seconds']:.0f} | {run['processor']:.0f}"
        lines.append(f"| {link}{failed} | {times} | {_mega(run['pss'])} | {_mega(run['data'])} |")
    lines += _load(measured, "notebooks")
    titles = course.titles.items()
    if missing := [title for name, title in titles if f"{name}.ipynb" not in measured["notebooks"]]:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return "\n".join(lines)


def together(course: Course) -> str:
    """The same notebook in several kernels at once."""
    measured = _read()
    if "together" not in measured:
        return MISSING
    lines = [
        "| kernels at once | first done, seconds | last done, seconds | processor seconds of each "
        "| all together: PSS, MB | RSS, MB |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for number, run in measured["together"].items():
        each = run["processor"] / int(number)
        cells = (number, f"{run['first']:.0f}", f"{run['seconds']:.0f}", f"{each:.0f}")
        lines.append(f"| {' | '.join(cells)} | {_mega(run['pss'])} | {_mega(run['rss'])} |")
    first, last = _ends(measured["together"])
    one, many = measured["together"][first], measured["together"][last]
    lines += [
        "",
        f"One kernel more takes {_mega(_each_more(measured))} MB where all share one environment; "
        f"with an environment of its own each would take {_mega(one['rss'])} MB. They share the "
        f"{measured['machine']['cores']} cores: {one['processor']:.0f} processor seconds alone, "
        f"{many['processor'] / int(last):.0f} each with {last} at once.",
        *_load(measured, "together"),
    ]
    return "\n".join(lines)


def _ends(runs: dict[str, Any]) -> tuple[str, str]:
    numbers = sorted(runs, key=int)
    return numbers[0], numbers[-1]


def _each_more(measured: dict[str, Any]) -> float:
    """Bytes that one more kernel takes at its peak beside others that run the same notebook."""
    first, last = _ends(measured["together"])
    grown = measured["together"][last]["pss"] - measured["together"][first]["pss"]
    return grown / (int(last) - int(first))


def settings(course: Course) -> str:
    """What the hub's settings save."""
    measured = _read()
    if "settings" not in measured:
        return MISSING
    lines = [
        "| two kernels at once | last done, seconds | processor seconds | PSS, MB "
        "| counted by the limit for one, MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for way, run in measured["settings"].items():
        times = f"{run['seconds']:.0f} | {run['processor']:.0f}"
        lines.append(f"| {way} | {times} | {_mega(run['pss'])} | {_mega(run['data'])} |")
    return "\n".join(lines)


def past(course: Course) -> str:
    """What a student sees past the limit, and what becomes of the others."""
    measured = _read()
    if "past" not in measured:
        return MISSING
    lines = [
        "| who asks for too much | what the student sees | its kernel | two others at work |",
        "|---|---|---|---|",
    ]
    for who, found in measured["past"].items():
        said = found["said"].rstrip(": ")  # Python's own has no words
        own, *others = ("lives" if told == "lives" else "**dies**" for told in found["afterwards"])
        shown = said.replace("|", "\\|").replace("{{", "{").replace("}}", "}")
        lines.append(f"| {who} | `{shown[:130]}` | {own} | {', '.join(dict.fromkeys(others))} |")
    return "\n".join(lines)


def machine(course: Course) -> str:
    """The machine for two hundred, as arithmetic on what was measured."""
    measured = _read()
    if not {"server", "together", "notebooks"} <= measured.keys():
        return MISSING
    server, kernel = measured["server"]["pss"], _each_more(measured)
    heaviest = max(measured["notebooks"].values(), key=lambda run: run["pss"])["pss"]
    need = STUDENTS * (server + kernel) + SYSTEM
    spent = measured["together"]["1"]["processor"]
    lines = [
        f"**Memory.** {STUDENTS} students, each with a JupyterLab ({_mega(server)} MB) and one "
        f"kernel that has run notebook 11 ({_mega(kernel)} MB more beside others), and "
        f"{SYSTEM / 1e9:.0f} GB for the system and the hub: {STUDENTS} x ({_mega(server)} + "
        f"{_mega(kernel)}) MB + {SYSTEM / 1e9:.0f} GB = **{need / 1e9:.0f} GB**. Everybody in the "
        f"heaviest of the {len(measured['notebooks'])} notebooks above ({_mega(heaviest)} MB): "
        f"{(STUDENTS * (server + heaviest) + SYSTEM) / 1e9:.0f} GB.",
        "",
        f"**Cores.** A run of notebook 11 takes {spent:.0f} processor seconds in one thread. If "
        f"$k$ students start it in the same moment on $C$ cores, the last one waits at least "
        f"$\\max({spent:.0f}, {spent:.0f} k / C)$ seconds. How many do so at once is an "
        "assumption; a lecture that says *now run it* comes near to all:",
        "",
        "| start at once | " + " | ".join(f"{cores} cores" for cores in CORES) + " |",
        "|---|" + "--:|" * len(CORES),
    ]
    for share in AT_ONCE:
        number = round(share * STUDENTS)
        waits = " | ".join(f"{spent * max(1, number / cores):.0f} s" for cores in CORES)
        lines.append(f"| {number} ({share:.0%}) | {waits} |")
    return "\n".join(lines)
