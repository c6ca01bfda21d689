# SPDX-License-Identifier: Apache-2.0
"""Results of fault runs, one JSON object a line, and the table of them.

A line has fault, seed, kernel, version (of the program), held (false: the promise was broken), skipped (why, or ""),
error, seconds, figures {name: number} and notes [text]. Of runs with the same fault, seed and kernel the last one counts.
"""
import json
import pathlib
import statistics


def append(path, result):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def read(paths):
    """Results of all files, in order; of a run that was repeated the last."""
    found = {}
    for path in paths:
        if not pathlib.Path(path).exists():
            continue
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            result = json.loads(line)
            key = result["fault"], result["seed"], result["kernel"]
            found.pop(key, None)
            found[key] = result
    return list(found.values())


def row(name, results):
    ran = [r for r in results if not r["skipped"]]
    if not ran:
        return f"{name:26} skipped: {results[0]['skipped']}" if results else f"{name:26} not run"
    held = [r for r in ran if r["held"]]
    out = f"{name:26} {len(held):5} of {len(ran):<5} {sum(r['seconds'] for r in ran):8.1f} s"
    figures = {}
    for result in ran:
        for key, value in result["figures"].items():
            figures.setdefault(key, []).append(value)
    for key, values in figures.items():
        out += f"  {key} {statistics.median(values):.4g}"
        if len(values) > 1:
            out += f" ({min(values):.4g}–{max(values):.4g})"
    failed = [str(r["seed"]) for r in ran if not r["held"]]
    if failed:
        out += "  FAILED with --seed " + ", ".join(failed[:8])
    return out


def table(names, results):
    """The text of it: a line for each name, and the sums."""
    lines = [f"{'fault':26} {'held':>14} {'time':>10}  figures: median (least–most)"]
    for name in names:
        lines.append(row(name, [r for r in results if r["fault"] == name]))
    ran = [r for r in results if not r["skipped"]]
    held = sum(r["held"] for r in ran)
    seconds = sum(r["seconds"] for r in ran)
    versions = sorted({r["version"] for r in ran})
    lines.append(f"{held} held, {len(ran) - held} failed, {len(results) - len(ran)} skipped, "
                 f"{seconds / 60:.0f} minutes; {', '.join(versions)}")
    return "\n".join(lines)
