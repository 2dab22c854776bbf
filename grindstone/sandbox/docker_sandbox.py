"""One container as a sandbox."""

import io
import shlex
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from docker.errors import NotFound

from grindstone.errors import Cause
from grindstone.sandbox.docker_engine import Engine, engine_errors
from grindstone.sandbox.protocol import ExecResult, SealedResult


class DockerSandbox:
    """A running container."""

    kind = "docker"

    def __init__(self, engine: Engine, container: str, workdir: str) -> None:
        self._engine = engine
        self._container = container
        self._workdir = workdir
        self._closed = False

    @property
    def workdir(self) -> str:
        """The folder commands start in."""
        return self._workdir

    async def exec(
        self,
        command: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        max_output_bytes: int = 1_000_000,
    ) -> ExecResult:
        """Run a bash command line as root."""
        return await self._engine.call(self._exec, command, timeout_s, cwd, env, stdin)

    def _exec(self, command, timeout_s, cwd, env, stdin):  # type: ignore[no-untyped-def]
        began = time.monotonic()
        argv = ["timeout", "-k", "1", str(timeout_s), "bash", "-c", command]
        if stdin is not None:
            import base64

            text = base64.b64encode(stdin).decode()
            argv = ["bash", "-c", f"echo {text} | base64 -d | {shlex.join(argv)}"]
        with engine_errors(Cause.SANDBOX_IO, self._container):
            api = self._engine.client.api
            made = api.exec_create(
                self._container, argv, user="0", environment=dict(env or {}), workdir=cwd
            )
            output = api.exec_start(made["Id"])
            code = api.exec_inspect(made["Id"])["ExitCode"]
        return ExecResult(
            code, output.decode(errors="replace"), code == 124, time.monotonic() - began
        )

    async def write_files(self, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
        """Write files by absolute path."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, content in files.items():
                info = tarfile.TarInfo(path.lstrip("/"))
                info.size, info.mode = len(content), mode
                tar.addfile(info, io.BytesIO(content))
        await self._put(buffer.getvalue())

    async def _put(self, data: bytes) -> None:
        with engine_errors(Cause.SANDBOX_IO, self._container):
            await self._engine.call(self._engine.client.api.put_archive, self._container, "/", data)

    async def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content to an absolute folder."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(source, arcname=target.lstrip("/"), filter=_as_root)
        await self._put(buffer.getvalue())

    async def read_file(self, path: str, *, max_bytes: int = 10_000_000) -> bytes | None:
        """Return a regular file's content."""
        found = await self._get(path)
        if found is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(found)) as tar:
            member = tar.next()
            if member is None or not member.isreg():
                return None
            file = tar.extractfile(member)
            return file.read(max_bytes) if file else None

    async def _get(self, path: str) -> bytes | None:
        def get() -> bytes | None:
            try:
                stream, _ = self._engine.client.api.get_archive(self._container, path)
            except NotFound:
                return None
            return b"".join(stream)

        with engine_errors(Cause.SANDBOX_IO, self._container):
            return await self._engine.call(get)

    async def copy_out(self, source: str, target: Path, *, max_bytes: int = 50_000_000) -> None:
        """Copy a folder's regular files to an empty host folder; links are left out."""
        found = await self._get(source)
        if found is None:
            return
        with tarfile.open(fileobj=io.BytesIO(found)) as tar:
            for member in tar:
                if member.isreg():
                    inner = Path(*Path(member.name).parts[1:])
                    (target / inner).parent.mkdir(parents=True, exist_ok=True)
                    file = tar.extractfile(member)
                    (target / inner).write_bytes(file.read() if file else b"")

    async def exec_sealed(
        self,
        command: str,
        *,
        timeout_s: float,
        inputs: Mapping[str, Path],
        log_dir: str,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = 4_000_000,
    ) -> SealedResult:
        """Run a command beside fresh inputs and a fresh log folder."""
        await self.exec(f"rm -rf {log_dir}; mkdir -p {log_dir}", timeout_s=10)
        for target, source in inputs.items():
            await self.exec(f"rm -rf {target}", timeout_s=10)
            await self.copy_in(source, target)
        run = await self.exec(command, timeout_s=timeout_s, cwd=cwd, env=env)
        found = await self._get(log_dir)
        files: dict[str, bytes] = {}
        if found is not None:
            with tarfile.open(fileobj=io.BytesIO(found)) as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.isreg() else None
                    if file:
                        name = Path(*Path(member.name).parts[1:]).as_posix()
                        files[name] = file.read()
        return SealedResult(run, files)

    async def close(self) -> None:
        """End everything and remove it; safe to call twice."""
        if self._closed:
            return
        self._closed = True

        def remove() -> None:
            try:
                self._engine.client.api.remove_container(self._container, force=True, v=True)
            except NotFound:
                return

        with engine_errors(Cause.ENGINE_UNAVAILABLE):
            await self._engine.call(remove)


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
