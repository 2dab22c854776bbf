"""What a weak agent tries by itself: the obvious command, whatever the input is really like."""

from grindstone.rehearsal.brief import TaskBrief
from grindstone.rehearsal.words import stems

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

_LOG = """\
python3 - {source} {target} <<'EOF'
import collections, glob, json, os, sys
source, target = sys.argv[1:3]
files = sorted(glob.glob(source + '/*')) if os.path.isdir(source) else [source]
lines = []
for name in files:
    with open(name, encoding='utf-8') as handle:
        lines += handle.read().splitlines()
os.makedirs(os.path.dirname(target) or '.', exist_ok=True)
with open(target, 'w') as out:
    if target.endswith('.json'):
        errors = [line for line in lines if line.split()[1] == 'ERROR']
        json.dump(collections.Counter(line[:13] for line in errors), out, indent=2)
    else:
        out.write('\\n'.join(sorted(lines)) + '\\n')
print(len(lines), 'lines')
EOF"""

_GIT = (
    "cd {source} && git status --short && git branch -a && git log --oneline -n 15",
    "cd {source} && git checkout -",
)


def attempts(brief: TaskBrief) -> tuple[str, ...]:
    """Return the commands to try, in order; each is the obvious one for what is named."""
    about = stems(brief.text)
    values = brief.values()
    source, target = values.get("input", "."), values.get("output", "")
    if about & stems("git commit"):
        return tuple(command.format(source=source) for command in _GIT)
    if "build" in about:
        return (f"cd {source} && ./build.sh",)
    if target and ("log" in about or source.endswith(".log")):
        return (_LOG.format(source=source, target=target),)
    if target.endswith(".json"):
        return (_TABLE.format(source=source, target=target),)
    return ()
