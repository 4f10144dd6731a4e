"""Asks a tintype server through litellm, unmodified; prints what came as one JSON object.

    python litellm_client.py http://127.0.0.1:8484
"""

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

litellm.telemetry = False
url = sys.argv[1]
common = {"api_key": "none", "max_tokens": 8, "temperature": 0, "num_retries": 0}
messages = [{"role": "user", "content": "hi"}]
codestral = {
    "model": "text-completion-codestral/code",
    "api_base": f"{url}/v1/fim/completions",
    "prompt": "let a",
    "suffix": ";",
    **common,
}
text = {"model": "text-completion-openai/code", "api_base": f"{url}/v1", "prompt": "let a", **common}
chat = {"model": "openai/chat", "api_base": f"{url}/v1", "messages": messages, **common}


def completed(options):
    reply = litellm.text_completion(**options)
    return {"text": reply.choices[0].text, "finish": reply.choices[0].finish_reason, "tokens": reply.usage.completion_tokens}


def streamed(options):
    return "".join(chunk.choices[0].text or "" for chunk in litellm.text_completion(stream=True, **options))


def refused():
    try:
        litellm.completion(**{**chat, "model": "openai/none"})
    except litellm.NotFoundError as error:
        return error.status_code


reply = litellm.completion(**chat)
pieces = litellm.completion(stream=True, **chat)
print(
    json.dumps(
        {
            "codestral": {"whole": completed(codestral), "streamed": streamed(codestral)},
            "text": {"whole": completed(text), "streamed": streamed(text)},
            "chat": {
                "whole": {"text": reply.choices[0].message.content, "tokens": reply.usage.completion_tokens},
                "streamed": "".join(piece.choices[0].delta.content or "" for piece in pieces),
            },
            "unknown model": refused(),
        }
    )
)
