"""The Prefect server of a home: found or started, watched, and shut to who has no login.

`python -m grindstone.flows.serving` is its program.
"""
