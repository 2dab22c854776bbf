import asyncio
from pathlib import Path

import pytest
from support.sandboxes import provider

from grindstone.digest import digest_tree
from grindstone.errors import InfrastructureError, InputError
from grindstone.sandbox import BuildSpec, SandboxProvider, StartSpec
from grindstone.sandbox.docker.build import build_image
from grindstone.sandbox.docker.engine import Engine

__all__ = ["provider"]  # of the engines that build

DOCKERFILE = """
# a comment
FROM python:3.11-slim-bookworm
ARG GREETING=hello
ENV PLACE=/srv/app \\
    NAME="a b"
WORKDIR $PLACE
COPY --chmod=755 run.sh .
COPY data/ ./data/
COPY data/one.txt /copied.txt
RUN echo "$GREETING from $PWD" >said && mkdir -p /usr/local/made \\
    && echo x >/usr/local/made/x
EXPOSE 80
CMD ["./run.sh"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "some task" / "environment"
    (folder / "data").mkdir(parents=True)
    (folder / "data/one.txt").write_text("one\n")
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def spec(context: Path, **more: float) -> BuildSpec:
    return BuildSpec(context_dir=context, context_digest=digest_tree(context), **more)


async def test_a_dockerfile_becomes_a_sandbox(provider: SandboxProvider, context: Path) -> None:
    image = await provider.build(spec(context))
    sandbox = await provider.start(StartSpec(image=image, name="built"))
    assert sandbox.workdir == "/srv/app"
    result = await sandbox.exec(
        "./run.sh; cat said data/one.txt /copied.txt /usr/local/made/x; echo $NAME",
        timeout_s=10,
    )
    assert result.output == "ran\nhello from /srv/app\none\none\nx\na b\n"
    await sandbox.exec("rm -rf /srv/app /usr/local/made", timeout_s=10)
    await sandbox.close()
    fresh = await provider.start(StartSpec(image=image, name="fresh"))
    assert (await fresh.exec("cat said", timeout_s=10)).output == "hello from /srv/app\n"
    await fresh.close()


async def test_many_at_once_build_once(provider: SandboxProvider, context: Path) -> None:
    stamp = "RUN date +%s%N >/stamp\n"
    (context / "Dockerfile").write_text(f"{DOCKERFILE}{stamp}# {context}\n")
    images = await asyncio.gather(*(provider.build(spec(context)) for _ in range(8)))
    assert len(set(images)) == 1
    stamps = set()
    for _ in range(2):
        sandbox = await provider.start(
            StartSpec(image=await provider.build(spec(context)), name="stamp")
        )
        stamps.add(await sandbox.read_file("/stamp"))
        await sandbox.close()
    assert len(stamps) == 1


async def test_a_failed_build_carries_the_end_of_its_log(
    provider: SandboxProvider, context: Path
) -> None:
    broken = "FROM python:3.11-slim-bookworm\nRUN echo what-went-wrong && exit 7\n"
    (context / "Dockerfile").write_text(broken)
    with pytest.raises(InfrastructureError, match="what-went-wrong") as caught:
        await provider.build(spec(context))
    assert caught.value.cause == "image_build"
    begins = caught.value.detail.splitlines()[0]
    assert "echo what-went-wrong" in begins, "a table shows the beginning alone"


@pytest.mark.docker
def test_a_base_image_that_is_not_to_be_had_is_named_first(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM registry.invalid/team/base:1\n")
    with pytest.raises(InfrastructureError) as caught:
        build_image(Engine(), spec(context), "grindstone/never:built")
    assert caught.value.detail.startswith("registry.invalid/team/base:1: failed to resolve")


async def test_a_build_has_a_time_limit(provider: SandboxProvider, context: Path) -> None:
    slow = f"FROM python:3.11-slim-bookworm\nRUN echo {context} && sleep 60\n"
    (context / "Dockerfile").write_text(slow)
    with pytest.raises(InfrastructureError) as caught:
        await provider.build(spec(context, timeout_s=1.5))
    assert "not done after 1.5 s, its environment.build_timeout_sec" in str(caught.value)
    assert str(caught.value).count("not done") == 1
    assert caught.value.cause == "image_build"


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("FROM other AS second", "several stages"),
        ("ADD https://example.org/x /x", "ADD cannot be replayed"),
        ("USER nobody", "changes the user"),
        ("RUN --mount=type=cache,target=/x true", "build option"),
        ("COPY --from=other /a /b", "--from"),
        ("RUN <<EOF\ntrue\nEOF", "here-document"),
        ("VOLUME /data", "VOLUME"),
    ],
)
async def test_what_cannot_be_replayed_is_named(context: Path, line: str, problem: str) -> None:
    from grindstone.sandbox.bubblewrap.dockerfile import read_recipe

    (context / "Dockerfile").write_text(f"FROM python:3.11\n\n{line}\n")
    with pytest.raises(InputError, match=problem) as caught:
        read_recipe(context)
    assert caught.value.where.endswith("Dockerfile:3")
    assert "needs Docker" in caught.value.problem
