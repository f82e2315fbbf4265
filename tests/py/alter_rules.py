"""Copies of public rules with other strings and ids: alter_rules.py FROM TO COPIES

In each copy the longest run of letters of every plain value is shifted along the alphabet, so that no string is shared with
the original; regular expressions, networks, encodings and numbers stay. Correlations are left out: they name ids.
"""

import re
import sys
import uuid
from pathlib import Path

LETTERS = re.compile(r"[a-z]{3,}", re.IGNORECASE)
KEY = re.compile(r"^(\s*(?:- )?)([\w.|-]+):(\s+)?(.*)$")
FIXED = ("|re", "|cidr", "|base64", "|exists", "|fieldref", "|gt", "|lt")


def shifted(value: str, by: int) -> str:
    runs = sorted(LETTERS.finditer(value), key=lambda run: len(run.group()))
    if not runs:
        return value
    run = runs[-1]

    def turn(letter: str) -> str:
        base = ord("a") if letter.islower() else ord("A")
        return chr((ord(letter) - base + by) % 26 + base)

    return value[: run.start()] + "".join(map(turn, run.group())) + value[run.end() :]


def altered(text: str, by: int) -> str:
    lines, inside, fixed = [], False, False
    for line in text.split("\n"):
        if line and not line[0].isspace() and not line.startswith("#"):
            inside = line.startswith("detection:")
        found = KEY.match(line)
        if line.startswith("id:"):
            line = f"id: {uuid.uuid5(uuid.NAMESPACE_OID, f'{line}{by}')}"
        elif inside and found and found.group(2) != "condition" and "condition:" not in line:
            fixed = any(part in found.group(2) for part in FIXED)
            if found.group(4) and not fixed and found.group(4)[0] not in "{[|>#":
                line = line[: found.start(4)] + shifted(found.group(4), by)
        elif inside and line.lstrip().startswith("- ") and not fixed and " of " not in line:
            at = line.index("- ") + 2
            line = line[:at] + shifted(line[at:], by)
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    source, target, copies = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for path in sorted(source.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if "\ncorrelation:" in text:
            continue
        for copy in range(1, copies + 1):
            out = target / str(copy) / path.relative_to(source)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(altered(text, copy * 5), encoding="utf-8")


if __name__ == "__main__":
    main()
