# Tornlog. `make` alone lists what there is; `make run ARGS="..."` passes arguments on.
ARGS ?=
BUILD := release
TORNLOG := .build/$(BUILD)/tornlog
# The engine's classes belong to one loop each. Checks of exclusive access, which debug builds and tests keep, cost a
# tenth of an append.
BUILD_FLAGS := -Xswiftc -enforce-exclusivity=unchecked
# The story of the first bug, unless ARGS says what to run.
RUN = $(if $(strip $(ARGS)),run $(ARGS),demo)

.DEFAULT_GOAL := help
.PHONY: help setup build run suite test reports defects engines docs exhaustive fuzz bench peers tune tuning doctor clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  Extra arguments: make run ARGS="--seed 7 Scenarios/chronik"'

setup: ## check Swift, install liburing and zlib headers where they are missing
	@Scripts/setup.sh

build: setup ## build the release binary, .build/release/tornlog
	swift build -c $(BUILD) --product tornlog --static-swift-stdlib $(BUILD_FLAGS)

run: build ## set up, build, show the first bug in seven trials
	$(TORNLOG) $(RUN)

suite: build ## set up, build, run the quick suite of scenarios (about 1000 trials)
	$(TORNLOG) run -t quick $(ARGS)

test: setup ## set up, run the tests; failures are shown again at the end
	@Scripts/test.sh $(ARGS)

# Every scenario that puts a document's claim to the test, on every volume.
reports: build ## run the data-loss tables whole (20 minutes) and write Reports/*.md
	$(TORNLOG) run -t claims --report data-loss=Reports/data-loss.md --report recovery-time=Reports/recovery-time.md -q $(ARGS)

defects: build ## every historical defect in every way of looking (20 minutes), and write Reports/defects.md
	$(TORNLOG) defects --stories --report markdown=Reports/defects.md $(ARGS)

docs: build ## write the generated parts of docs/*.md anew
	@Scripts/docs.sh $(TORNLOG)

exhaustive: setup ## every bit flipped, every length cut, no space at every byte; prints the numbers of cases
	TORNLOG_EXHAUSTIVE=1 TORNLOG_OPTIMIZED_TESTS=1 swift test --filter ExhaustiveTests

engines: build ## the table of real engines (three hours), and its page; ENGINES="lmdb redis", ARGS=--quick (nine minutes)
	/usr/bin/python3 Drivers/setup.py $(ENGINES)
	/usr/bin/python3 Drivers/scenarios.py $(ENGINES)
	/usr/bin/python3 Drivers/bench.py --tornlog $(TORNLOG) $(ARGS) $(ENGINES)

fuzz: setup ## libFuzzer on the readers of log files: ten million executions; ARGS=-runs=100000 for fewer
	@Scripts/fuzz.sh $(ARGS)

bench: build ## figures as ratios to raw loops, measured in the same run
	$(TORNLOG) bench $(ARGS)

peers: build ## the engine beside fio, RocksDB, SQLite, LMDB, pg_test_fsync; writes Reports/performance.md and its HTML
	$(TORNLOG) bench --peers --report markdown=Reports/performance.md --report html=Reports/performance.html $(ARGS)

tune: build ## which sync policy suits this disk, in a minute; ARGS="--max-loss 0 --rate 5k/s"
	$(TORNLOG) tune $(ARGS)

tuning: build ## the same for twenty minutes, and write Reports/tuning.md
	$(TORNLOG) tune --thorough --report markdown=Reports/tuning.md $(ARGS)

doctor: build ## what this machine allows: io_uring, O_DIRECT, limits
	$(TORNLOG) doctor $(ARGS)

clean: ## remove what was built
	swift package clean
	rm -rf .build
