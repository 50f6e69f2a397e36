# Daily tasks. `just` lists them; the two that must work without it are cargo run and scripts/test.

# List the tasks
default:
    @just --list

# Look around in a sample company, on http://127.0.0.1:8080
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Serve your own company
serve *ARGS:
    cargo run --release -- serve {{ARGS}}

# Install what the tests need and run all of them
test *ARGS:
    scripts/test {{ARGS}}

# Call everything that the API describes, with right and wrong requests
schemathesis *ARGS:
    scripts/schemathesis {{ARGS}}

# Format, lint, check licences and advisories
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- --deny warnings
    cargo deny check

# All that must hold before a change lands
ci:
    .ci/run

# Measure Dealog beside the bare database, and print one table to quote (--quick for a rough one, --help for the rest)
bench *ARGS:
    cargo build --release -p dealog -p dealog-benches
    BINARY_UNDER_TEST="${CARGO_TARGET_DIR:-$PWD/target}/release/dealog" POSTGRES_OPTIONS= \
        scripts/postgres "${CARGO_TARGET_DIR:-$PWD/target}/release/dealog-benches" {{ARGS}}

# Measure figures beside the same questions in SQL to DuckDB, and print one table to quote (--deals N, --keep DIR, --help)
bench-figures *ARGS:
    cargo build --release -p dealog -p dealog-benches
    BINARY_UNDER_TEST="${CARGO_TARGET_DIR:-$PWD/target}/release/dealog" \
        "${CARGO_TARGET_DIR:-$PWD/target}/release/dealog-benches" figures {{ARGS}}

# Break Dealog N times on each back end in every way there is, and see that nothing is lost (--help for the ways)
crash *ARGS:
    cargo build -p dealog -p dealog-crash --features dealog/failpoints
    BINARY_UNDER_TEST="${CARGO_TARGET_DIR:-$PWD/target}/debug/dealog" \
        "${CARGO_TARGET_DIR:-$PWD/target}/debug/dealog-crash" {{ARGS}}

# Misuse a release build in every way there is for five minutes, and measure what other callers notice (--help for the ways)
abuse *ARGS:
    cargo build --release -p dealog -p dealog-abuse
    BINARY_UNDER_TEST="${CARGO_TARGET_DIR:-$PWD/target}/release/dealog" \
        scripts/postgres "${CARGO_TARGET_DIR:-$PWD/target}/release/dealog-abuse" {{ARGS}}

# See that the crash harness catches the bugs that are planted for it
crash-bugs *ARGS:
    scripts/crash-bugs {{ARGS}}

# Measure commands alone and beside 200 slow readers of the live feed
slow-readers:
    cargo build --release -p dealog
    BINARY_UNDER_TEST="${CARGO_TARGET_DIR:-$PWD/target}/release/dealog" \
        cargo run --release -p dealog-tests --example slow_readers

# Write the JSON Schemas of the present event types again
schemas:
    DEALOG_RENEW=1 cargo test -p dealog-events --test schemas

# Import the CSV files of a folder by the example mapping
import-maven DIR *ARGS:
    cargo run --release -- import --mapping examples/maven/mapping.toml {{DIR}} {{ARGS}}
