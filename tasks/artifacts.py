"""Artifacts, which the Prefect UI shows.

Artifacts of one key are versions of one thing, so a task's trajectories over cycles and
runs lie behind one another. Keys take lowercase letters, digits and dashes. A link by key
leads to all versions; a link to a page leads to the one that is meant. Links are relative to an
artifact's own page, so they stay in the UI one reads in, at whatever address that is reached.
"""

import re
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx
from prefect import get_client
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError
from prefect.settings import get_current_settings

from grindstone.report.words import table
from grindstone.runs.incidents import spared
from grindstone.tasks.flow_runs import run_tag

_VIEWERS: dict[str, bool] = {}
"""Whether the server at an address has a viewer: ours do, others answer with Prefect's page."""


def artifact_key(*parts: str) -> str:
    """Return a valid artifact key made of parts."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def artifact_link(key: str, text: str) -> str:
    """Return a markdown link to all versions of an artifact in the UI."""
    return f"[{text}](../key/{key})"


def flow_runs_link(run_key: str, name: str, text: str) -> str:
    """Return a markdown link to the list of a run's flow runs whose names have these words."""
    asked = urlencode({"tags": run_tag(run_key), "flow-run-search": name})
    return f"[{text}](../../runs?{asked})"


async def viewer_link(text: str, *place: str) -> str:
    """Return a markdown link into the home's viewer; empty where the server has none.

    Args:
        text: What it says.
        place: An address of the viewer in its parts, such as `run` and a key.
    """
    path = await viewer_path(*place)
    return f"[{text}]({path})" if path else ""


async def viewer_path(*place: str) -> str:
    """Return where the home's viewer shows something on the server; empty where it has none."""
    if not _in_a_run() or not await _has_viewer(_ui()):
        return ""
    return f"/grindstone/#/{'/'.join(quote(part, safe='') for part in place)}"


async def _has_viewer(ui: str) -> bool:
    if ui not in _VIEWERS:
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                found = (await client.get(f"{ui}/grindstone/there")).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            found = HTTPStatus.NOT_FOUND
        _VIEWERS[ui] = found == HTTPStatus.NO_CONTENT
    return _VIEWERS[ui]


async def newest_pages(keys: Collection[str]) -> dict[str, str]:
    """Return the addresses, from another's page, of the newest artifacts that there are by key."""
    if not keys or not _in_a_run():
        return {}
    wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=sorted(keys)))
    async with get_client() as client:
        found = await client.read_latest_artifacts(artifact_filter=wanted)
    return {item.key: _page(item.latest_id) for item in found}


def _ui() -> str:
    return get_current_settings().ui_url or ""


def _page(artifact_id: UUID) -> str:
    return f"../artifact/{artifact_id}"


async def publish_markdown(key: str, markdown: str, *, description: str) -> str:
    """Publish a markdown artifact, where a run is there to carry it.

    Returns:
        Its address from another's page; empty where there is none: nobody's work hangs on
        what is shown of it.
    """
    if _in_a_run():
        with spared(f"artifact {key}"):
            return _page(
                await acreate_markdown_artifact(markdown=markdown, key=key, description=description)
            )
    return ""


async def publish_table(key: str, rows: Sequence[dict[str, Any]], *, description: str) -> str:
    """Publish a table, where a run is there to carry it.

    The newer UI shows the cells of a table artifact as they are, so rows with links are
    published as Markdown.

    Returns:
        As `publish_markdown`.
    """
    if any("](" in str(cell) for row in rows for cell in row.values()):
        page = f"# {description}\n\n{_as_markdown(rows)}\n"
        return await publish_markdown(key, page, description=description)
    if _in_a_run():
        with spared(f"artifact {key}"):
            return _page(
                await acreate_table_artifact(table=list(rows), key=key, description=description)
            )
    return ""


def _as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    return table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])


def _in_a_run() -> bool:
    try:
        get_run_context()
    except MissingContextError:
        return False
    return True
