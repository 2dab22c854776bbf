"""Runs the checks of checks.py, one result per function, and writes the reports."""

import json
import sys
import time
import traceback
from pathlib import Path

LOGS = Path("/logs/verifier")


def main(checks, weights=None, all_or_nothing=False):
    """Run every check_* function; the reward is the weighted share that passed."""
    results = []
    for name, check in checks:
        started = time.time()
        try:
            check()
            status, message = "passed", ""
        except AssertionError as error:
            status, message = "failed", str(error) or "assertion failed"
        except Exception:
            status, message = "failed", traceback.format_exc(limit=-1)
        results.append((name, status, message, int((time.time() - started) * 1000)))
        print(f"{name}: {status} {message}".rstrip())
    weights = weights or {}
    total = sum(weights.get(r[0], 1) for r in results)
    reward = sum(weights.get(r[0], 1) for r in results if r[1] == "passed") / total
    if all_or_nothing:
        reward = float(reward == 1)
    LOGS.mkdir(parents=True, exist_ok=True)
    tests = [
        {"name": n, "status": s, "duration": d, "message": m[:2000]} for n, s, m, d in results
    ]
    passed = sum(r[1] == "passed" for r in results)
    summary = {
        "tests": len(results), "passed": passed, "failed": len(results) - passed,
        "skipped": 0, "pending": 0, "other": 0, "start": 0, "stop": 0,
    }
    report = {"results": {"tool": {"name": "checks"}, "summary": summary, "tests": tests}}
    (LOGS / "ctrf.json").write_text(json.dumps(report))
    (LOGS / "reward.txt").write_text(f"{reward:.4f}\n")
    sys.exit(0 if passed == len(results) else 1)
