"""Grindstone's engine: plain Python, no Prefect; usable from a notebook.

Rooms, from the top down (a room uses rooms on lower lines only):

    rehearsal
    attempt
    evolve, competency, graduation
    report
    agents, ledger
    workspace, benchmark, observe
    skills, llm, sandbox, gate
    records, settings, files, digest, resources, errors
"""

__version__ = "0.1.0"
