"""The program our servers run: Prefect's own command line, patient on SQLite and watchful.

    python -m grindstone.flows.serving server start --port 4200

On SQLite its transactions wait (`waiting_sqlite.py`); nothing changes on PostgreSQL. Beside it, a
thread closes the runs whose process is gone (`liveness.py`), and the home's viewer is mounted
(`viewer_mount.py`).
"""

import os
from contextlib import nullcontext
from pathlib import Path

from grindstone.collecting import before_exit, loading
from grindstone.flows.serving.server import HOME_VARIABLE


def main() -> None:
    """Run Prefect's command line on our database configuration, with the viewer beside its UI."""
    with loading():
        from prefect.cli import app
        from prefect.server.api import server
        from prefect.server.database.dependencies import temporary_database_config
        from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

        from grindstone.flows.serving.liveness import watch
        from grindstone.flows.serving.viewer_mount import ViewerWhenAsked, with_viewer
        from grindstone.flows.serving.waiting_sqlite import WaitingSqlite

    login = os.environ["PREFECT_SERVER_API_AUTH_STRING"]
    viewer = ViewerWhenAsked(Path(os.environ[HOME_VARIABLE]), login)
    server.create_app = with_viewer(server.create_app, viewer)
    watch(os.environ["PREFECT_SERVER_UI_API_URL"], login)
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    sqlite = url.startswith("sqlite")
    try:
        with temporary_database_config(WaitingSqlite(url)) if sqlite else nullcontext():
            app()
    finally:
        before_exit()


if __name__ == "__main__":
    main()
