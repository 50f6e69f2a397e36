"""Answers the questions of `just bench-figures` in SQL, on Parquet files of the same log.

    figures.py FOLDER RUNS

FOLDER holds spans.csv, visits.csv, stages.csv and questions.json. Parquet files take the place of the CSV files, and
answers.json says for each question what it took (the median of RUNS, in milliseconds) and its numbers by name. Progress
goes to standard error.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import duckdb

import queries

THREADS = 2
WARM_UP = 2

# In the order in which the CSV files have them. A span is a deal from one of its events to the next, as figures see it: a
# closed deal keeps what it was when it was closed. Instants are microseconds UTC, amounts cents, probabilities basis points.
TABLES = {
    "spans": {
        "deal": "UINTEGER", "stage": "UTINYINT", "pipeline": "UTINYINT", "status": "UTINYINT", "owner": "USMALLINT",
        "amount": "BIGINT", "probability": "USMALLINT", "category": "UTINYINT", "expected_close": "DATE",
        "created_at": "BIGINT", "entered_at": "BIGINT", "closed_at": "BIGINT", "since": "BIGINT", "until": "BIGINT",
        "position": "UINTEGER", "next_position": "UINTEGER",
    },
    "visits": {
        "deal": "UINTEGER", "stage": "UTINYINT", "pipeline": "UTINYINT", "place": "UTINYINT", "entered_at": "BIGINT",
        "left_at": "BIGINT", "how": "UTINYINT", "position": "UINTEGER", "left_position": "UINTEGER",
    },
    "stages": {
        "stage": "UTINYINT", "pipeline": "UTINYINT", "place": "UTINYINT", "probability": "USMALLINT",
        "category": "UTINYINT", "stale_days": "USMALLINT",
    },
}


def load(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Makes Parquet files of the CSV files, rows in the same order, and views of them."""
    for name, columns in TABLES.items():
        csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        print(f"duckdb: {parquet.name}", file=sys.stderr)
        db.execute(f"COPY (FROM read_csv('{csv}', header = false, columns = {columns})) TO '{parquet}' (FORMAT parquet)")
        csv.unlink()
        db.execute(f"CREATE VIEW {name} AS FROM read_parquet('{parquet}')")


def ask(db: duckdb.DuckDBPyConnection, question: dict, runs: int) -> dict:
    """The numbers of an answer, and the median of what it took."""
    statements, numbers_of = queries.FIGURES[question["figure"]]
    sql = statements(question)
    times = []
    for run in range(WARM_UP + runs):
        begun = time.perf_counter()
        rows = [db.execute(statement).fetchall() for statement in sql]
        if run >= WARM_UP:
            times.append((time.perf_counter() - begun) * 1_000)
    numbers = {name: int(number) for name, number in numbers_of(rows, question).items() if number}
    return {"title": question["title"], "ms": statistics.median(times), "numbers": numbers}


def main() -> None:
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    questions = json.loads((folder / "questions.json").read_text())
    with duckdb.connect() as db:
        db.execute(f"SET threads = {THREADS}")
        # Without these it would read the footers of the files again for each question.
        db.execute("SET parquet_metadata_cache = true")
        load(db, folder)
        answers = []
        for number, question in enumerate(questions, 1):
            print(f"duckdb: {number}/{len(questions)} {question['title']}", file=sys.stderr)
            answers.append(ask(db, question, runs))
    written = folder / "answers.json.part"
    written.write_text(json.dumps({"version": duckdb.__version__, "answers": answers}))
    os.replace(written, folder / "answers.json")


if __name__ == "__main__":
    main()
