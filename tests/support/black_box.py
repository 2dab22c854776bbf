"""An agent of somebody else's: a program that Grindstone knows nothing of but its command line."""

import json
import os
import subprocess
import urllib.error
import urllib.request

BASH = {
    "name": "bash",
    "description": "Runs a command.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    },
}


def ask(messages: list[dict]) -> dict:
    body = {
        "model": os.environ["ANTHROPIC_MODEL"],
        "max_tokens": 4096,
        "system": open(os.environ["SYSTEM_FILE"]).read(),  # noqa: SIM115, PTH123
        "messages": messages,
        "tools": [BASH],
    }
    request = urllib.request.Request(
        f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages",
        json.dumps(body).encode(),
        {"content-type": "application/json", "x-api-key": os.environ["ANTHROPIC_API_KEY"]},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def main() -> None:
    instruction = open(os.environ["INSTRUCTION_FILE"]).read()  # noqa: SIM115, PTH123
    messages: list[dict] = [{"role": "user", "content": instruction}]
    while True:
        answer = ask(messages)
        messages.append({"role": "assistant", "content": answer["content"]})
        uses = [block for block in answer["content"] if block["type"] == "tool_use"]
        if not uses:
            return
        results = []
        for use in uses:
            ran = subprocess.run(
                ["bash", "-c", use["input"]["command"]],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            text = f"{ran.stdout}\nexit code: {ran.returncode}"
            results.append({"type": "tool_result", "tool_use_id": use["id"], "content": text})
        messages.append({"role": "user", "content": results})


if __name__ == "__main__":
    main()
