"""The viewer as a folder that needs no server: open its `index.html`, or put it on any host.

A page opened from a disk may load scripts of its own folder, but neither modules nor data.
So the modules are joined into one script, and each document is a script that hands it over.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from grindstone.errors import InputError
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.records import Episode
from grindstone.report.run_diff import run_parts
from grindstone.report.run_list import list_runs
from grindstone.settings import FeedbackLevel
from grindstone.view.app import ASSETS, POLICY
from grindstone.view.attempt import CHUNK
from grindstone.view.site import Site
from grindstone.view.skills import skills_document

_IMPORT = re.compile(r'^import \{([^}]*)\}\s+from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
_MODULES = '<script type="module" src="app.js"></script>'
_SCRIPTS = '<script defer src="folder.js"></script>\n<script defer src="page.js"></script>'


def write_folder(
    home: Home, run_keys: tuple[str, ...], target: Path, *, level: FeedbackLevel
) -> Path:
    """Write some runs of a home as pages; return the one to open.

    Args:
        home: The home.
        run_keys: The runs; nothing of others gets into the folder.
        target: Not there yet, empty, or written by this before.
        level: How much of the verifier's word whoever gets the folder may see.

    Raises:
        InputError: The target holds something else.
    """
    index = target / "index.html"
    if target.is_dir() and any(target.iterdir()) and not (target / "folder.js").is_file():
        raise InputError(str(target), "holds something else", "a new or empty folder")
    site = Site(home, level=level, runs=run_keys)
    shutil.rmtree(target / "data", ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ASSETS / "vendor", target / "vendor", dirs_exist_ok=True)
    shutil.copy(ASSETS / "style.css", target / "style.css")
    files: dict[str, str] = {}
    skills: dict[str, set[str]] = {}

    def keep(address: tuple[str, ...], found: str) -> None:
        name = str(len(files))
        write_atomic(target / "data" / f"{name}.js", f'grindstoneArrived("{name}", {found});\n')
        files["/".join(quote(part, safe="!~*'()") for part in address)] = name

    for address in _addresses(site):
        try:
            keep(address, site.document("/".join(address)).decode())
        except InputError:
            continue  # a skill that a workspace of another home had
        if address[0] == "skill":
            skills.setdefault(address[1], set()).add(address[2])
    keep(("skills",), skills_document(site.ledger, only=skills).model_dump_json())
    told = f"globalThis.grindstoneFolder = {json.dumps({'files': files})};\n"
    write_atomic(target / "page.js", joined_modules(ASSETS, "app"))
    write_atomic(target / "folder.js", told)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = (ASSETS / "index.html").read_text("utf-8")
    page = page.replace(_MODULES, _SCRIPTS).replace("<head>", f"<head>\n{policy}")
    write_atomic(index, page)
    return index


def joined_modules(folder: Path, entry: str) -> str:
    """Return a module and all it imports as one script, each in a function of its own."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        source = (folder / f"{name}.js").read_text("utf-8")
        for _, imported in _IMPORT.findall(source):
            add(imported)
        names = ", ".join(found for _, found in _EXPORT.findall(source))
        body = _IMPORT.sub(r"const {\1} = module_\2;\n", source)
        body = _EXPORT.sub(r"\1 \2", body)
        done[name] = f"const module_{name} = (() => {{\n{body}\nreturn {{ {names} }};\n}})();\n"

    add(entry)
    return '"use strict";\n' + "\n".join(done.values())


def _addresses(site: Site) -> Iterator[tuple[str, ...]]:
    """Yield the address of every document, but raw answers, what is looked for and `skills`."""
    import polars as pl

    from grindstone.ledger.tables.attempts import SkillUseRow, TrajectoryRow
    from grindstone.ledger.tables.runs import EvolutionRow

    ledger = site.ledger
    runs = [run.run_key for run in list_runs(ledger)]
    yield ("runs",)
    yield ("trends",)
    for run_key in runs:
        yield ("run", run_key)
        for before, after in run_parts(ledger, run_key):
            yield ("diff", f"{run_key}@{before}", f"{run_key}@{after}")
    yield from (("diff", a, b) for i, a in enumerate(runs) for b in runs[i + 1 :])
    lengths = dict(ledger.scan(TrajectoryRow).select("episode_id", "n_steps").collect().rows())
    episodes = ledger.scan(Episode).select("episode_id", "agent_id").collect()
    for episode_id in episodes["episode_id"]:
        yield ("episode", episode_id)
        for chunk in range(-(-lengths.get(episode_id, 0) // CHUNK)):
            yield ("episode", episode_id, "steps", str(chunk))
    used = ledger.scan(SkillUseRow).join(episodes.lazy(), on="episode_id")
    pairs = set(used.select(pl.col("agent_id"), pl.col("skill")).collect().rows())
    for row in ledger.rows(EvolutionRow):
        changed = (*row.skills_added, *row.skills_changed, *row.skills_removed)
        own = row.task_ids if row.step else ()  # where there is one
        pairs |= {(row.agent_id, skill) for skill in (*changed, *own)}
    yield from (("skill", agent_id, skill) for agent_id, skill in sorted(pairs))
