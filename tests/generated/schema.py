"""Tells for each table whether the schema takes it: schema.py SCHEMA TABLE..."""
import json
import sys
import tomllib

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        text = file.read().decode("utf-8-sig", "replace")
    try:
        error = next(validator.iter_errors(tomllib.loads(text)), None)
    except tomllib.TOMLDecodeError:
        print(path, "is no TOML", sep="\t")
        continue
    verdict = "right" if error is None else "wrong"
    print(path, verdict, *[error.message[:200]] if error else [], sep="\t")
