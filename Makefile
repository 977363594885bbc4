# make demo   the main job, from end to end, on a PostgreSQL of its own
# make test   every test
# Both install a server first where there is none (root or sudo), and say what they do.

CARGO ?= cargo
DEMO_DIR ?= demo-out

.PHONY: demo test setup build lint samples docs bench clean

# The profile `demo` builds in half the time of a release.
demo: setup
	$(CARGO) build --profile demo
	./target/demo/pgassay demo --dir $(DEMO_DIR)

test:
	@sh .ci/ensure-postgres tests
	$(CARGO) test

setup:
	@sh .ci/ensure-postgres

build:
	$(CARGO) build --release

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

# What is generated: docs/cli.md, docs/rules.md, docs/run.schema.json, snapshots.
docs: setup
	UPDATE=1 INSTA_UPDATE=always $(CARGO) test --test cli --test snapshots

# Logs of a real server, for sample_logs/ and the tests that read them.
samples: setup build
	./target/release/pgassay demo --quiet --dir target/samples > /dev/null
	cp target/samples/shop.stderr.log target/samples/shop.csv target/samples/shop.json \
	   target/samples/pg_stat_statements.csv target/samples/schema.sql sample_logs/
	chmod 644 sample_logs/*

clean:
	$(CARGO) clean
