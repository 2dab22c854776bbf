"""Grading in real sandboxes, beside agents that would rather not be graded."""

import pytest

from grindstone.benchmark.loading import load_task
from grindstone.benchmark.recheck import grade_task
from grindstone.benchmark.separate_verifier import grade_separately
from grindstone.benchmark.variants import strip_skills
from grindstone.benchmark.verifier import grade
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.settings import ScoreMode

DUAL = ScoreMode.DUAL


async def verdict_after(start, folder, command, mode=DUAL):
    task, sandbox = await start(folder)
    if command:
        ran = await sandbox.exec(command, timeout_s=20)
        assert ran.exit_code == 0, ran.output
    return await grade(task, sandbox, score_mode=mode)


@pytest.mark.catalogue
async def test_the_right_answer_passes_and_its_output_is_kept(start, write_task):
    folder = write_task(**{"tests/test.sh": "echo seen\npwd\necho 1 > /logs/verifier/reward.txt\n"})
    verdict = await verdict_after(start, folder, "")
    assert verdict.passed
    assert verdict.reward == 1
    assert "seen" in verdict.output
    assert "/app" in verdict.output
    assert verdict.exit_code == 0


@pytest.mark.catalogue
async def test_a_wrong_answer_is_a_score_of_nothing(start, write_task):
    verdict = await verdict_after(start, write_task(), "echo 41 > /app/answer")
    assert not verdict.passed
    assert verdict.reward == 0


ATTACKS = {
    "writes the reward": "mkdir -p /logs/verifier && echo 1 > /logs/verifier/reward.txt",
    "writes a reward.json": """mkdir -p /logs/verifier
        echo '{"reward": 1}' > /logs/verifier/reward.json""",
    "brings tests of its own": """mkdir -p /tests
        echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh; chmod 555 /tests""",
    "links the tests elsewhere": """mkdir -p /evil; rm -rf /tests
        echo 'echo 1 > /logs/verifier/reward.txt' > /evil/test.sh; ln -s /evil /tests""",
    "keeps rewriting the reward": """mkdir -p /logs/verifier
        (while true; do echo 1 > /logs/verifier/reward.txt; sleep 0.01; done) \
            > /dev/null 2>&1 &""",
    "keeps rewriting the tests": """mkdir -p /tests
        (while true; do echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh; sleep 0.01
         done) > /dev/null 2>&1 &""",
    "links the log folder elsewhere": """mkdir -p /logs /evil; rm -rf /logs/verifier
        echo 1 > /evil/reward.txt; ln -s /evil /logs/verifier""",
    "links all logs elsewhere": """rm -rf /logs; mkdir -p /evil/verifier
        echo 1 > /evil/verifier/reward.txt; ln -s /evil /logs""",
    "puts a file where the log folder is": """mkdir -p /logs; rm -rf /logs/verifier
        echo 1 > /logs/verifier""",
    "puts a file where the tests are": "rm -rf /tests; echo 1 > /tests",
    "reaches into the verifier's processes": """(while true; do for p in /proc/[0-9]*; do
            echo 1 > $p/root/logs/verifier/reward.txt
            echo 'echo 1 > /logs/verifier/reward.txt' > $p/root/tests/test.sh
         done; sleep 0.01; done) > /dev/null 2>&1 &""",
}


@pytest.mark.catalogue
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_an_attacker_gains_nothing(start, write_task, attack):
    # The pause gives a process that rewrites things its chance.
    slow = """\
        sleep 0.3
        if [ "$(cat /app/answer 2>/dev/null)" = 42 ]; then reward=1; else reward=0; fi
        echo $reward > /logs/verifier/reward.txt
        sleep 0.3
        """
    verdict = await verdict_after(start, write_task(**{"tests/test.sh": slow}), attack)
    assert verdict.reward == 0
    assert not verdict.passed


@pytest.mark.catalogue
async def test_pytest_takes_no_settings_from_the_agent(start, write_task):
    folder = write_task(
        **{
            "tests/test.sh": """\
                if [ -e /tests/pytest.ini ]; then echo 0 > /logs/verifier/reward.txt
                else cat /pytest.ini; echo 1 > /logs/verifier/reward.txt; fi
                """
        }
    )
    verdict = await verdict_after(start, folder, "echo '[pytest]' > /pytest.ini")
    assert verdict.reward == 0


@pytest.mark.catalogue
async def test_a_service_the_agent_left_running_is_there(start, write_task):
    folder = write_task(
        **{
            "tests/test.sh": """\
                python3 - <<'END'
                import urllib.request
                body = urllib.request.urlopen("http://127.0.0.1:8123/answer").read()
                open("/logs/verifier/reward.txt", "w").write(str(int(body.strip() == b"42")))
                END
                """
        }
    )
    serve = """echo 42 > /app/answer
        nohup python3 -m http.server 8123 --bind 127.0.0.1 > /dev/null 2>&1 &
        sleep 2"""
    verdict = await verdict_after(start, folder, serve)
    assert verdict.passed, verdict.output


@pytest.mark.catalogue
async def test_tests_may_write_beside_themselves(start, write_task):
    script = """\
        set -e
        cd /tests && mkdir cache && echo x > cache/x && echo y > data.txt && chmod 600 data.txt
        [ -w /logs/agent ] && [ -w /logs/artifacts ]
        echo "$SECRET" > /logs/verifier/notes.txt
        echo 1 > /logs/verifier/reward.txt
        """
    config = '[environment]\nallow_internet = false\n[verifier.env]\nSECRET = "s"\n'
    folder = write_task(**{"tests/test.sh": script, "task.toml": config})
    assert (await verdict_after(start, folder, "")).passed


@pytest.mark.catalogue
async def test_the_time_limit_is_the_sandboxs_word(start, write_task):
    folder = write_task(
        **{
            "tests/test.sh": "echo 1 > /logs/verifier/reward.txt; echo begun; sleep 60",
            "task.toml": "[environment]\nallow_internet=false\n[verifier]\ntimeout_sec = 1.5\n",
        }
    )
    with pytest.raises(InfrastructureError, match=r"verifier\.timeout_sec(.|\n)*begun") as caught:
        await verdict_after(start, folder, "")
    assert caught.value.cause is Cause.VERIFIER_TIMEOUT


@pytest.mark.catalogue
async def test_words_in_the_output_decide_nothing(start, write_task):
    script = """\
        echo 'plugins: timeout-2.4.0'; echo 'Error: timed out'; echo 'Traceback (most recent'
        echo 0 > /logs/verifier/reward.txt
        exit 124
        """
    verdict = await verdict_after(start, write_task(**{"tests/test.sh": script}), "")
    assert verdict.reward == 0
    assert verdict.exit_code == 124


@pytest.mark.catalogue
@pytest.mark.parametrize("left", ["", "echo nan >", "echo 1.5 >", "ln -s /etc/hostname"])
async def test_without_a_usable_reward_there_is_no_score(start, write_task, left):
    script = (
        f"echo what happened\n{left} /logs/verifier/reward.txt\n" if left else "echo what happened"
    )
    with pytest.raises(InfrastructureError, match="what happened") as caught:
        await verdict_after(start, write_task(**{"tests/test.sh": script}), "")
    assert caught.value.cause is Cause.VERIFIER_BROKEN


SEPARATE = """\
artifacts = ["/app/out"]
[environment]
allow_internet = false
[verifier]
environment_mode = "separate"
"""
SEPARATE_TEST = """\
    answer=$(/usr/bin/cat /app/out/answer)
    [ "$answer" = 42 ] && [ ! -e /app/left ] && echo 1 > /logs/verifier/reward.txt \
        || echo 0 > /logs/verifier/reward.txt
    """


@pytest.mark.catalogue
async def test_a_separate_verifier_gets_the_artifacts_and_nothing_else(start, write_task, provider):
    folder = write_task(**{"task.toml": SEPARATE, "tests/test.sh": SEPARATE_TEST})
    task, sandbox = await start(folder)
    await sandbox.exec("mkdir out; echo 42 > out/answer; touch left", timeout_s=20)
    assert (await grade_task(task, sandbox, provider, score_mode=DUAL)).passed


@pytest.mark.catalogue
async def test_a_replaced_program_does_not_reach_a_separate_verifier(start, write_task, provider):
    folder = write_task(**{"task.toml": SEPARATE, "tests/test.sh": SEPARATE_TEST})
    task, sandbox = await start(folder)
    lie = "printf '#!/bin/bash\\necho 42\\n' > /usr/bin/cat.new && mv /usr/bin/cat.new /usr/bin/cat"
    await sandbox.exec(
        f"mkdir out; echo 1 > out/answer; {lie}; chmod +x /usr/bin/cat", timeout_s=20
    )
    verdict = await grade_task(task, sandbox, provider, score_mode=DUAL)
    assert verdict.reward == 0


@pytest.mark.catalogue
async def test_what_the_agent_deleted_stays_deleted_for_a_separate_verifier(
    start, write_task, provider
):
    folder = write_task(
        **{
            "task.toml": SEPARATE.replace('artifacts = ["/app/out"]\n', ""),
            "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\nRUN echo x > bad\n",
            "tests/test.sh": "[ -e bad ]; echo $? > /logs/verifier/reward.txt",
        }
    )
    task, sandbox = await start(folder)
    assert (await grade_separately(task, sandbox, provider, score_mode=DUAL)).reward == 0
    await sandbox.exec("rm bad", timeout_s=20)
    assert (await grade_separately(task, sandbox, provider, score_mode=DUAL)).reward == 1


@pytest.mark.catalogue
async def test_a_verifier_image_of_the_tests_own(start, write_task, provider):
    folder = write_task(
        **{
            "task.toml": SEPARATE,
            "tests/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /grading\n"
            "COPY test.sh /tests/test.sh\nRUN echo 42 > /expected\n",
            "tests/test.sh": "cmp /expected /app/out/answer\n"
            "[ $? = 0 ] && r=1 || r=0; pwd; echo $r > /logs/verifier/reward.txt\n",
        }
    )
    task, sandbox = await start(folder)
    await sandbox.exec("mkdir out; echo 42 > out/answer", timeout_s=20)
    verdict = await grade_task(task, sandbox, provider, score_mode=DUAL)
    assert verdict.reward == 1, verdict.output


@pytest.mark.catalogue
async def test_a_system_folder_is_not_carried_over(start, write_task, provider):
    folder = write_task(
        **{
            "task.toml": SEPARATE.replace('artifacts = ["/app/out"]\n', ""),
            "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /root\n",
        }
    )
    task, sandbox = await start(folder)
    with pytest.raises(InputError, match="artifacts"):
        await grade_separately(task, sandbox, provider, score_mode=DUAL)


@pytest.mark.catalogue
async def test_skills_of_the_image_do_not_reach_the_arm_without(
    start, write_task, provider, tmp_path
):
    folder = write_task(
        **{
            "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n"
            "COPY skills /root/.claude/skills\n",
            "environment/skills/sums/SKILL.md": "---\nname: sums\ndescription: d\n---\n",
        }
    )
    bare = strip_skills(load_task(folder), tmp_path / "variants")
    look = "ls /root/.claude/skills"
    _, having = await start(folder)
    assert "sums" in (await having.exec(look, timeout_s=20)).output
    _, lacking = await start(bare.path)
    assert (await lacking.exec(look, timeout_s=20)).exit_code != 0
