"""Which provider answers for which id, and what is said when none can."""

import json
import re
import subprocess
import sys

import pytest
from support.model_service import MODEL, request, site

from grindstone import rehearsal as rehearsal_room
from grindstone.blocks import ModelBlock
from grindstone.errors import InfrastructureError, InputError
from grindstone.llm import Provider, resolve_model_id
from grindstone.llm.budget import Spending
from grindstone.llm.providers import KNOWN_FORMS
from grindstone.settings import AdaptiveSettings, GraduationSettings, RouteSettings

KEY = {"ANTHROPIC_API_KEY": "k"}


@pytest.mark.parametrize(
    ("model_id", "provider"),
    [
        ("claude-opus-5-5", Provider.ANTHROPIC),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Provider.BEDROCK),
        ("eu.anthropic.claude-opus-5", Provider.BEDROCK),
        ("apac.anthropic.claude-opus-5", Provider.BEDROCK),
        ("us-gov.anthropic.claude-opus-5", Provider.BEDROCK),
        ("global.anthropic.claude-opus-5-5", Provider.BEDROCK),
        ("anthropic.claude-opus-5-5", Provider.BEDROCK),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/ab12",
            Provider.BEDROCK,
        ),
        ("claude-sonnet-4-5@20250929", Provider.VERTEX),
        ("claude-sonnet-4-5@20250929@europe-west1", Provider.VERTEX),
        ("us.anthropic.claude-opus-5-5@eu-west-1", Provider.BEDROCK),
        ("claude-opus-5-5@default", Provider.VERTEX),
        ("rehearsal", Provider.REHEARSAL),
    ],
)
def test_the_id_names_the_provider(model_id, provider):
    resolved = resolve_model_id(model_id, KEY)
    assert (resolved.model_id, resolved.provider) == (model_id, provider)
    assert resolved.rehearsal == (provider is Provider.REHEARSAL)
    assert model_id in resolved.reason or resolved.rehearsal
    assert re.search(KNOWN_FORMS, model_id)


@pytest.mark.parametrize("model_id", ["gpt-9", "", "claude", "Claude-opus-5", "claude-x@", "a b"])
def test_an_unknown_id_says_what_is_known(model_id):
    with pytest.raises(InputError, match="rehearsal"):
        resolve_model_id(model_id, KEY)


ADDRESSES = {
    "OPENAI_BASE_URL": "openai:gpt",
    "ANTHROPIC_BASE_URL": "claude-opus-5-5",
    "ANTHROPIC_BEDROCK_BASE_URL": "us.anthropic.claude-opus-5-5",
    "ANTHROPIC_VERTEX_BASE_URL": "claude-opus-5-5@default",
    "GRINDSTONE_REHEARSAL_URL": "rehearsal",
}
NO_ADDRESSES = [
    *("localhost:8765", "http://", "http:///v1", "http://:80", "http://host:99999", "ftp://host"),
    *(
        "http://host:port/v1",
        "http://[::1/v1",
        "http://host?a=b",
        "http://host#at",
        "http://a b",
    ),
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_id_whose_address_is_none_is_of_no_known_form(address):
    for kind in ("openai", "messages"):
        with pytest.raises(InputError, match=f"model '{kind}:x@"):
            resolve_model_id(f"{kind}:x@{address}", KEY | {"OPENAI_API_KEY": "k"})


@pytest.mark.parametrize(
    "model_id", ["gpt-5", "openai:x@localhost:1", "openai:x@ftp://host", "a b"]
)
def test_a_form_refuses_what_is_of_no_known_form(model_id):
    assert not re.search(KNOWN_FORMS, model_id)
    for settings in (AdaptiveSettings, RouteSettings, GraduationSettings, ModelBlock):
        fields = settings.model_json_schema()["properties"]
        named = [field for name, field in fields.items() if name.endswith("model_id")]
        assert named
        assert all(KNOWN_FORMS in json.dumps(each).replace("\\\\", "\\") for each in named)


@pytest.mark.parametrize("model_id", ["claude-x\n", "us.anthropic.claude sonnet", "openai:x\n"])
def test_an_id_has_no_blanks(model_id):
    with pytest.raises(InputError, match="is of no known form"):
        resolve_model_id(model_id, KEY | {"OPENAI_API_KEY": "k"})


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("variable", ADDRESSES)
def test_a_variable_whose_address_is_none_is_named(variable, address):
    keys = dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY"), "k")
    with pytest.raises(InputError, match=f"{variable}: .*; expected .*http"):
        resolve_model_id(ADDRESSES[variable], keys | {variable: address})


def test_a_variable_with_a_password_is_refused_without_showing_it():
    environ = KEY | {"ANTHROPIC_BASE_URL": "http://me:s3cret@gateway:port"}
    with pytest.raises(InputError, match="ANTHROPIC_BASE_URL") as refused:
        resolve_model_id("claude-opus-5-5", environ)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8765", "https://gateway/", "http://[::1]:80/v1", "http://me:pw@host/x"],
)
def test_a_variable_names_an_address(address):
    for variable, model_id in ADDRESSES.items():
        keys = KEY | {"OPENAI_API_KEY": "k"}
        assert resolve_model_id(model_id, keys | {variable: address}).model_id == model_id


def test_missing_credentials_say_what_to_set():
    with pytest.raises(InputError, match="ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"):
        resolve_model_id("claude-opus-5-5", {})


def test_auto_takes_the_first_provider_with_credentials(tmp_path):
    vertex = {"ANTHROPIC_VERTEX_PROJECT_ID": "p", "GOOGLE_APPLICATION_CREDENTIALS": "f"}
    aws = {"AWS_PROFILE": "work"}
    home = {"HOME": str(tmp_path)}
    assert resolve_model_id("auto", vertex | aws | KEY).provider is Provider.ANTHROPIC
    assert resolve_model_id("auto", vertex | aws).provider is Provider.BEDROCK
    assert resolve_model_id("auto", vertex).provider is Provider.VERTEX
    assert resolve_model_id("auto", {"ANTHROPIC_AUTH_TOKEN": "t"}).provider is Provider.ANTHROPIC
    none = resolve_model_id("auto", home)
    assert none.rehearsal
    assert "No model credentials were found" in none.reason
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").touch()
    assert resolve_model_id("auto", home).provider is Provider.BEDROCK


def test_the_reason_holds_no_secret():
    assert "s3cret" not in resolve_model_id("auto", {"ANTHROPIC_API_KEY": "s3cret"}).reason


async def test_a_bearer_token_serves_as_well(service, opened):
    environ = {"ANTHROPIC_AUTH_TOKEN": "tok", "ANTHROPIC_BASE_URL": service.url}
    async with opened("", environ=environ) as models:
        await models.get(MODEL).complete(request(), site())
    assert service.headers[0]["authorization"] == "Bearer tok"


async def test_the_rehearsal_server_never_gets_the_users_key(service, opened):
    async with opened("http://127.0.0.1:9", rehearsal_url=service.url) as models:
        model = models.get("rehearsal")
        await model.complete(request(), site())
        assert model.rehearsal
        assert models.spent().unpriced_calls == 1
    assert "sk-ant-secret" not in str(service.headers)


async def test_a_variable_that_names_the_rehearsal_may_end_in_a_slash(opened):
    async with (
        rehearsal_room.serve() as url,
        opened("", environ={"GRINDSTONE_REHEARSAL_URL": f"{url}/"}) as models,
    ):
        assert (await models.get("rehearsal").complete(request(), site())).content


async def test_a_service_that_is_not_there_is_named_by_its_address(opened):
    async with opened("", environ={"GRINDSTONE_REHEARSAL_URL": "http://127.0.0.1:1"}) as models:
        with pytest.raises(InfrastructureError, match=r"http://127\.0\.0\.1:1\b"):
            await models.get("rehearsal").complete(request(), site())


async def test_a_rehearsal_server_is_started_when_none_is_given(opened):
    records = []
    async with opened(
        "", environ={}, on_call=records.append, spending=Spending(rehearsal_price_as=MODEL)
    ) as models:
        assert models.resolve("auto").rehearsal
        response = await models.get("auto").complete(request(), site())
        assert models.get("auto") is models.get("rehearsal")
    assert response.usage.total_tokens > 0
    assert records[0].rehearsal
    assert records[0].model == "rehearsal"
    assert records[0].cost_usd is not None
    assert "priced as" in records[0].price_source


async def test_a_rehearsal_behind_a_real_models_name_is_told_and_not_priced(opened):
    records = []
    async with (
        rehearsal_room.serve() as url,
        opened(url, on_call=records.append) as models,
    ):
        await models.get(MODEL).complete(request(), site())
    assert records[0].rehearsal
    assert records[0].cost_usd is None


@pytest.mark.commands
def test_a_model_at_an_address_is_got_without_a_server_and_asked_without_an_sdk():
    code = """
import asyncio, sys, tempfile, pathlib
import grindstone.llm
from grindstone.llm import open_models
from grindstone.llm.messages import CallSite, Message, Request, Text
from grindstone.records import Role
SDKS = ("anthropic", "genai_prices", "boto3")
def loaded():
    print([name for name in (*SDKS, "uvicorn") if name in sys.modules])
async def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    async with open_models(run_key="r", journal_dir=folder, environ={}) as models:
        model = models.get("rehearsal")
        loaded()
        question = Message(role="user", content=(Text(text="what now?"),))
        asked = Request(system="Be brief.", messages=(question,))
        await model.complete(asked, CallSite(role=Role.SOLVER, scope="s", turn=0, task_id="t"))
        loaded()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split("\n") == ["[]", "['uvicorn']", ""]
