"""Results of a run's steps in a remote home: in storage first, so that any machine finds them."""

import asyncio
from pathlib import Path

from prefect.filesystems import LocalFileSystem

from grindstone.remote.mirror import Mirror, mirror_of


class RemoteResults(LocalFileSystem):
    """The folder of a run's results, level with storage; made by code, and never saved."""

    _block_type_name = "Grindstone Remote Results"

    async def aread_path(self, path: str) -> bytes:
        """Return a result; raises where neither the folder nor storage has it."""
        await asyncio.to_thread(self._mirror.fetch, self._resolve_path(path))
        return await super().aread_path(path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Keep a result."""
        place = self._resolve_path(path)
        await asyncio.to_thread(self._mirror.write, place, content)
        return str(place)

    @property
    def _mirror(self) -> Mirror:
        found = mirror_of(Path(self.basepath or "."))
        assert found is not None
        return found
