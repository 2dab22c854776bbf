"""What a run did, as OpenTelemetry spans for whoever collects them; off unless an endpoint is set.

`switch.py` says whether and where to, `spans.py` makes spans of what is recorded, `content.py` the
words in them where they are asked for, `outlet.py` sends them from a thread of its own, and
`recorded.py` is what a run calls.
"""
