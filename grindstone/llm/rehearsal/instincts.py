"""What a weak agent tries by itself: the obvious command, whatever the file is really like."""

from grindstone.llm.rehearsal.brief import Brief
from grindstone.llm.rehearsal.words import stems

_TABLE = """\
python3 - {source} {target} <<'EOF'
import csv, glob, json, os, sys
source, target = sys.argv[1:3]
files = sorted(glob.glob(source + '/*')) if os.path.isdir(source) else [source]
def plain(text):
    try:
        return float(text) if '.' in text else int(text)
    except ValueError:
        return text
rows = []
for name in files:
    with open(name, newline='', encoding='utf-8') as handle:
        rows += [dict((k, plain(v)) for k, v in row.items()) for row in csv.DictReader(handle)]
os.makedirs(os.path.dirname(target) or '.', exist_ok=True)
json.dump(rows, open(target, 'w'), indent=2)
print(len(rows), 'rows')
EOF"""

_HOURS = """\
mkdir -p $(dirname {target})
cat {source} 2>/dev/null | grep -a ERROR | cut -c1-13 | sort | uniq -c \
| awk 'BEGIN {{printf "{{"}} {{printf "%s\\"%s\\": %d", (NR > 1 ? ", " : ""), $2, $1}} \
END {{print "}}"}}' > {target}
cat {target}"""


def attempts(brief: Brief) -> tuple[str, ...]:
    """Return the commands to try, in order; each is the obvious one for what is named."""
    about = stems(brief.text)
    values = brief.values()
    source, target = values.get("input", "."), values.get("output", "")
    tried: list[str] = []
    if "git" in about or "commit" in about or "branch" in about:
        tried += [
            f"cd {source} && git status --short && git branch -a && git log --oneline -n 15",
            f"cd {source} && git checkout -",
        ]
    elif target.endswith(".json") and ("log" in about or source.endswith(".log")):
        files = source if source.endswith(".log") else f"{source}/*.log"
        tried.append(_HOURS.format(source=files, target=target))
    elif target.endswith(".json"):
        tried.append(_TABLE.format(source=source, target=target))
    elif "build" in about or "script" in about:
        tried.append(f"cd {source} && ls && ./build.sh")
    elif target:
        tried.append(f"mkdir -p $(dirname {target}) && cat {source}/*.log | sort > {target}")
    return tuple(tried)
