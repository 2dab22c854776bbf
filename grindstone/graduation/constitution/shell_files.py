"""The files whose content is known while scripts are read: what was written before it is run."""

import posixpath

from grindstone.graduation.constitution.embedded import file_run, running
from grindstone.graduation.constitution.shell_command import Command, WrittenFile
from grindstone.graduation.constitution.shell_words import printed
from grindstone.graduation.constitution.stdin_programs import makefile_of

MAX_SCRIPT_BYTES = 200_000


class KnownFiles:
    """Files by their paths, as the scripts of one episode wrote them."""

    def __init__(self) -> None:
        """Know none."""
        self._files: dict[str, str] = {}

    def copy(self) -> "KnownFiles":
        """Return the same files, which may come to differ."""
        other = KnownFiles()
        other._files = dict(self._files)
        return other

    def put(self, file: WrittenFile) -> None:
        """Know a file that was written without a shell."""
        self._files[posixpath.normpath(file.path)] = file.content

    def keep(self, command: Command, given: str | None) -> None:
        """Note what a command writes into files.

        Args:
            command: The command.
            given: What is known of its input.
        """
        text = printed(command.words, command.document or given)
        if text is None and command.program != "cat":
            return
        targets = [*command.writes, *(command.operands if command.program == "tee" else ())]
        for path in targets:
            place = posixpath.normpath(command.path(path))
            before = self._files.get(place, "")
            self._files[place] = (before + "\n" + (text or ""))[-MAX_SCRIPT_BYTES:].strip("\n")

    def run_by(self, command: Command) -> Command:
        """Return a command with the script of a known file that it runs as its document."""
        made = makefile_of(command)
        found = (self._at(command.path(each)) for each in made or (file_run(command),) if each)
        content = next((each for each in found if each is not None), None)
        if content is None:
            return command
        return command._replace(document=content) if made else running(command, content)

    def _at(self, path: str) -> str | None:
        """Return a file's content; where one of two paths is relative, by how it ends."""
        path = posixpath.normpath(path)
        known = self._files.get(path)
        alike = [
            each for each in self._files if each.endswith(f"/{path}") or path.endswith(f"/{each}")
        ]
        return self._files[alike[-1]] if alike and known is None else known
