#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates each line of a file (or the standard input) against a JSON schema: check_schema.py SCHEMA [FILE]."""
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    lines = open(sys.argv[2], encoding="utf-8") if len(sys.argv) > 2 else sys.stdin
    bad = count = 0
    for number, line in enumerate(lines, 1):
        count += 1
        for error in validator.iter_errors(json.loads(line)):
            bad += 1
            print(f"line {number}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}\n  {line[:300]}")
    print(f"{count} lines, {bad} errors")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
