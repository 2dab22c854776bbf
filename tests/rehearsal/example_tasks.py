"""Where the bundled tasks are."""

from pathlib import Path

TASKS = Path(__file__).resolve().parents[2] / "examples" / "tasks"
TASK_IDS = sorted(path.name for path in TASKS.iterdir() if (path / "task.toml").is_file())
