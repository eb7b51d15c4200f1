"""The published JSON schemas say what the store and the records really hold.

`python tests/test_schemas.py` writes them anew after a change of `records`.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from normcraft.records import Arm, TrialRecord, TrialSpec

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
PUBLISHED = {"trial-record": TrialRecord, "trial-spec": TrialSpec, "arm": Arm}
STORE = Path(__file__).parent / "studies" / "stores" / "version_1.db"


def schema(name):
    made = TypeAdapter(PUBLISHED[name]).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_schema_is_that_of_the_code(name):
    assert json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) == schema(name)


def test_stored_records_and_arms_follow_it():
    with closing(sqlite3.connect(STORE)) as connection:
        (record,) = connection.execute("SELECT record FROM trial").fetchone()
        (study,) = connection.execute("SELECT document FROM study").fetchone()
    jsonschema.validate(json.loads(record), schema("trial-record"))
    for name, key in (("arm", "arms"), ("trial-spec", "specs")):
        for one in json.loads(study)[key]:
            jsonschema.validate(one, schema(name))


def test_what_does_not_follow_it_is_refused():
    with pytest.raises(jsonschema.ValidationError, match="'spec' is a required property"):
        jsonschema.validate({"outcome": "finished"}, schema("trial-record"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for title in PUBLISHED:
        text = json.dumps(schema(title), indent=2, ensure_ascii=False)
        (FOLDER / f"{title}.json").write_text(f"{text}\n", encoding="utf-8")
