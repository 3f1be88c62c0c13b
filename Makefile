# schedrun: `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL)$(filter clean,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DEFAULT_GOAL := build

ifeq ($(origin CC),default)
CC := gcc
endif
# clang and its tools: Debian 12 has 14, Debian 13 has 19.
export CLANG ?= $(if $(findstring VERSION_ID="12",$(file </etc/os-release)),14,19)
PREFIX ?= /usr/local
# systemd looks below /usr and /usr/local, and in /etc/systemd/system.
UNITDIR ?= $(PREFIX)/lib/systemd/system
# Runs programs of another machine, as qemu-aarch64 does.
RUN ?=
VERSION := 0.1.0

comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))$(if $(FAULTS),/faults)$(if $(FUZZER),/fuzzer)

# The libraries; CUnit is for the unit tests alone.
PACKAGES := rdkafka hiredis avro-c libuv libcurl libsystemd libcrypto
missing_libraries = $(shell for p in $(PACKAGES); do pkg-config --exists $$p 2>/dev/null || echo $$p; done)
MISSING := $(missing_libraries)
# Nothing is installed by reading this file but for these targets.
ifneq ($(MISSING),)
ifneq ($(filter run demo test,$(MAKECMDGOALS)),)
$(info make: libraries are missing, installing them)
$(if $(filter 0,$(shell deploy/local/deps.sh build 1>&2; echo $$?)),,$(error the libraries could not be installed))
MISSING := $(missing_libraries)
endif
endif

# Warnings are errors in a clone, where its compilers are known; not in a tarball.
WERROR ?= $(if $(wildcard .git),1,0)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
    -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings \
    -Wpointer-arith -Wundef -Wvla -Wformat=2 -Wdouble-promotion \
    -Wimplicit-fallthrough $(if $(filter 0,$(WERROR)),,-Werror)
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection \
    $(if $(filter x86_64% i%86-%,$(MACHINE)),-fcf-protection) \
    $(if $(filter aarch64%,$(MACHINE)),-mbranch-protection=standard) \
    -U_FORTIFY_SOURCE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=3)
# No path of this machine gets into an object: a build in another folder is the same.
OUR_CFLAGS := -std=c11 -ffile-prefix-map=$(CURDIR)=. \
    -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -O2 -g -I. -I$(BUILD)/gen \
    $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) \
    $(WARNINGS) $(HARDENING) -DSCHEDRUN_VERSION='"$(VERSION)"' \
    $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer \
    -Wno-format-truncation -Wno-format-overflow) \
    $(if $(FAULTS),-DSCHEDRUN_FAULTS) \
    $(if $(FUZZER),-fsanitize=fuzzer-no-link -Wno-unknown-warning-option)
# Of what libraries do past its calls TSan is to know, too.
UNSEEN_CALLS := $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/sanitizers/unseen_calls.o)
OUR_LDFLAGS := $(UNSEEN_CALLS) -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed \
    $(if $(SANITIZE),-fsanitize=$(SANITIZE)) \
    $(if $(FUZZER),-fsanitize=fuzzer)
LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread

COMMON := $(sort $(wildcard common/*/*.c))
SCHEMAS := $(sort $(wildcard schemas/*.c schemas/*/*.c))
WORKER := $(sort $(wildcard worker/*/*.c))
PRODUCER := $(sort $(filter-out producer/main.c producer/%_main.c, \
    $(wildcard producer/*.c producer/*/*.c)))
UNIT := $(sort $(wildcard tests/unit/*.c tests/unit/*/*.c tests/unit/*/*/*.c))

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBRARY := $(call objects,$(COMMON) $(SCHEMAS) $(WORKER) $(PRODUCER))

PROGRAMS := $(if $(wildcard producer/main.c),$(BUILD)/schedrun) \
    $(if $(wildcard producer/http_main.c),$(BUILD)/schedrun-http) \
    $(if $(wildcard worker/main.c),$(BUILD)/schedrun-worker) \
    $(if $(wildcard producer/trigger_main.c),$(BUILD)/schedrun-trigger) \
    $(if $(wildcard producer/builder_main.c),$(BUILD)/schedrun-builder)

Q := $(if $(V),,@)

build: $(PROGRAMS) ## compile the programs into build/

$(BUILD)/%.o: %.c Makefile | $(if $(MISSING),libraries)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The revision stands in one object, made again when it has changed.
# A tarball has it, and the day, in a file.
RELEASED := $(file <.version)
REVISION := $(or $(word 1,$(RELEASED)),$(shell git rev-parse --short=12 HEAD 2>/dev/null))
$(BUILD)/revision: FORCE
	@mkdir -p $(@D)
	@echo '$(REVISION)' | cmp -s - $@ || echo '$(REVISION)' >$@
$(BUILD)/common/base/metrics.o: $(BUILD)/revision
$(BUILD)/common/base/metrics.o $(BUILD)/lint/common/base/metrics.%: OUR_CFLAGS += -DSCHEDRUN_REVISION='"$(REVISION)"'
FORCE:

# The assembler reads these; the compiler's dependencies don't show it.
$(BUILD)/schemas/embedded.o: $(wildcard schemas/*.avsc schemas/lua/*.lua) schemas/ids
$(BUILD)/common/redis/bounded.o: $(wildcard common/redis/*.lua)
$(BUILD)/producer/api/openapi.o: docs/openapi.json
$(BUILD)/producer/cli/cmd_catalogue.o: docs/catalogue.example.json
$(BUILD)/producer/dashboard/page.o: $(wildcard producer/page/*)

$(BUILD)/libschedrun.a: $(LIBRARY) | $(UNSEEN_CALLS)
	$(Q)rm -f $@ && ar rcs $@ $^

define link
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
endef

$(BUILD)/schedrun: $(BUILD)/producer/main.o $(BUILD)/libschedrun.a
	$(link)
$(BUILD)/schedrun-http: $(BUILD)/producer/http_main.o $(BUILD)/libschedrun.a
	$(link)
$(BUILD)/schedrun-trigger: $(BUILD)/producer/trigger_main.o $(BUILD)/libschedrun.a
	$(link)
$(BUILD)/schedrun-worker: $(BUILD)/worker/main.o $(BUILD)/libschedrun.a
	$(link)
$(BUILD)/schedrun-builder: $(BUILD)/producer/builder_main.o $(BUILD)/libschedrun.a
	$(link)
$(BUILD)/unit: private LIBS += -lcunit
# The repair's test scripts what is read from Kafka, while it runs.
$(BUILD)/unit: private OUR_LDFLAGS += $(addprefix -Wl$(comma)--wrap=kafka_, \
    consumer_create consumer_close consumer_assign consumer_poll \
    consumer_range consumer_offset_at records_release record_header)
$(BUILD)/unit: $(call objects,$(UNIT)) $(BUILD)/libschedrun.a
	$(link)

# Our verdicts on records, for other implementations to be held against.
$(BUILD)/verdict $(BUILD)/http_verdict: $(BUILD)/%: $(BUILD)/tests/codec/%.o $(call objects,tests/codec/hex.c) $(BUILD)/libschedrun.a
	$(link)

.PHONY: differential
# SEED=7 CASES=100000 of each.
differential: build $(BUILD)/verdict $(BUILD)/http_verdict ## records against Java's Avro, HTTP against h11, plans against a model (minutes)
	@deploy/local/deps.sh test peers
	@tests/codec/differential $(BUILD) $(or $(CASES),100000) $(or $(SEED),$(shell date +%s))

# Whatever tests/sim defines as __wrap_NAME is called in NAME's place.
SIM := $(call objects,$(sort $(wildcard tests/sim/*.c)))
$(BUILD)/sim: $(SIM) $(call objects,tests/unit/settings.c) $(BUILD)/libschedrun.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) \
	    $$(nm $(SIM) | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

.PHONY: sim
# SEEDS=1000 histories of STEPS=10000 steps; SEED= plays one, and tells it if it fails.
sim: $(BUILD)/sim ## the worker's own code, played with faults, crashes, time; its mutants
	@$(if $(SEED),$< seed $(SEED) $(MUTANT),$< all $(or $(SEEDS),1000) && $< mutants)

.PHONY: model
model: ## a model of claims and transactions, all its states, by Spin; its mutants
	@deploy/local/deps.sh model
	@tests/sim/model $(MUTANT)

# Against servers of one's own: build/integration/kafka 127.0.0.1:9092
$(BUILD)/integration/%: $(BUILD)/tests/integration/%.o $(BUILD)/libschedrun.a
	@mkdir -p $(@D)
	$(link)

# The benchmark's own programs stand beside the library, not on it.
BENCH_SHARED := $(call objects,tests/bench/clients.c tests/bench/requests.c)
BENCHES := $(addprefix $(BUILD)/bench/,backlog copy watch pace delay ask listen ack)
$(BENCHES): $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BENCH_SHARED) | $(UNSEEN_CALLS)
	@mkdir -p $(@D)
	$(link)
$(BUILD)/bench/plan_bench: $(BUILD)/tests/bench/plan_bench.o $(BUILD)/libschedrun.a
	@mkdir -p $(@D)
	$(link)
# Preloaded into a program, to count what it asks for.
$(BUILD)/bench/count.so: tests/bench/count.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -D_GNU_SOURCE $(WARNINGS) -Wno-redundant-decls -Wno-pedantic -shared -fPIC -o $@ $<

unit: $(BUILD)/unit ## the CUnit tests of each module
	$(RUN) $(BUILD)/unit

deps: ## install what is missing: packages, Kafka, the tests' Python, lint's tools
	@deploy/local/deps.sh test lint fuzz

libraries:
	@echo 'make: libraries are missing: $(MISSING)' >&2
	@echo 'make: on Debian 12 or 13 run: make deps' >&2
	@exit 1

run: build ## the whole system here, until ^C: Kafka, Redis, worker, adapter
	@deploy/local/deps.sh run
	@deploy/local/run.sh run

demo: build ## the same, then stops
	@deploy/local/deps.sh run
	@deploy/local/run.sh demo

e2e: build $(BUILD)/integration/kafka ## the programs on a real Kafka and Redis
	@deploy/local/deps.sh test
	BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) \
	    .cache/venv/bin/pytest -q -p no:cacheprovider $(or $(TESTS),tests/e2e)

# ONLY=9,43 SEED=7 LANES=1; what fails is kept in .run/chaos-SEED/.
chaos: faults ## faults under load: the starred rows of docs/faults.md (SEED=, ONLY=9,43)
	@.cache/venv/bin/python tests/chaos/chaos.py
chaos-long: faults ## all its rows
	@.cache/venv/bin/python tests/chaos/chaos.py --long

.PHONY: events-long
# EVENTS=100000 commits, KILLS=36 kills, SEED=1
events-long: build ## commits while trigger, worker, builder, broker and Redis are killed
	@deploy/local/deps.sh test
	EVENTS=$(EVENTS) KILLS=$(KILLS) SEED=$(SEED) BUILD_DIR=$(CURDIR)/$(BUILD) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/events_long.py

.PHONY: security
security: build ## each way into Kafka, with least rights; secrets replaced under load (minutes)
	@deploy/local/deps.sh test security
	SECURITY=all BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider $(or $(TESTS),tests/e2e/test_security.py)

.PHONY: procedures
# BEFORE=COMMIT, which an upgrade comes from; else the last release, or 50 commits ago.
procedures: build ## docs/procedures.md, block by block, under load (minutes)
	@deploy/local/deps.sh test
	BEFORE=$(BEFORE) BUILD_DIR=$(CURDIR)/$(BUILD) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider $(or $(TESTS),tests/e2e/procedures.py)

.PHONY: apply-long day builder-long minutes
# SIZE=1000000
apply-long: build ## a million datasets and schedules applied under load, killed and gone on with
	@deploy/local/deps.sh test
	SIZE=$(SIZE) BUILD_DIR=$(CURDIR)/$(BUILD) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/apply_long.py

day: build ## a day of cron in minutes, by five triggers that are killed (SEED=)
	@deploy/local/deps.sh test
	SEED=$(SEED) BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/day_long.py

builder-long: build ## a builder that is killed at each of its steps; a gigabyte of output
	@deploy/local/deps.sh test
	BUILD_DIR=$(CURDIR)/$(BUILD) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/builder_long.py

# SCHEDULES=1000000, MINUTES=3
minutes: build ## how late a trigger is with schedules of each minute, and what it costs
	@deploy/local/deps.sh test
	BUILD_DIR=$(CURDIR)/$(BUILD) .cache/venv/bin/python tests/bench/minutes.py

.PHONY: page-long
page-long: build ## the page on a slow network, with wrong clocks, in two tabs, while Redis or a token goes (minutes)
	@deploy/local/deps.sh test
	BUILD_DIR=$(CURDIR)/$(BUILD) .cache/venv/bin/pytest -q -p no:cacheprovider tests/e2e/page_trouble.py

.PHONY: soak
# MINUTES=10 RATE=1000 requests a second.
soak: build ## worker and adapter under load, a thousand clients at its events: nothing grows
	@deploy/local/deps.sh test
	MINUTES=$(MINUTES) RATE=$(RATE) BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/soak.py

# BACKLOG=1000000
.PHONY: backlog
backlog: build $(BENCHES) ## ten million requests wait for a worker that has what its unit gives it (as root)
	@deploy/local/deps.sh test
	BACKLOG=$(BACKLOG) BUILD_DIR=$(CURDIR)/$(BUILD) \
	    .cache/venv/bin/pytest -q -s -p no:cacheprovider tests/e2e/backlog_long.py

faults: build
	@deploy/local/deps.sh test chaos
	@$(MAKE) -s FAULTS=1 build

recipes: build $(BUILD)/integration/kafka ## docs/recipes.md, with dbt and Dagster themselves (minutes; SEED=)
	@deploy/local/deps.sh test recipes
	BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) SEED=$(SEED) PYTHONPATH=tests/e2e \
	    .cache/venv/bin/pytest -q -p no:cacheprovider -p conftest $(or $(TESTS),tests/recipes)

test: ## everything; closing line "N passed, M failed"
	@deploy/local/deps.sh test lint fuzz
	@tests/run

# As root; roots are made once, below .cache/.  TESTS="tests/e2e/test_topics.py -k anew".
test-trixie: ## make test in a root of Debian 13, or TESTS alone of the end-to-end ones
	@deploy/local/deps.sh root
	@tests/root trixie make -s deps
	@ROOT_NETWORK=off tests/root trixie $(if $(TESTS),make -s e2e TESTS="$(TESTS)",make test)

test-matrix: ## demo and delivery on each Kafka, Redis and Valkey, by each Debian
	@deploy/local/deps.sh root
	@tests/matrix

# BENCH_N=1000000 BENCH_ROUNDS=3 BENCH_MIXES=mix,... BENCH_PARTS=throughput,...
# BENCH_PEERS=java,go,rust: with peers in these languages beside the worker.
bench: build $(BENCHES) $(BUILD)/bench/plan_bench ## how fast it is, against floors in the same run
	@deploy/local/deps.sh test $(if $(findstring java,$(BENCH_PEERS)),peers)
	@BUILD=$(BUILD) tests/bench/peers/build "$(BENCH_PEERS)"
	.cache/venv/bin/python tests/bench/bench.py

# SIZING_N=200000 requests of SIZING_SCHEDULES=10000.
sizing: build ## what a schedule, a request, a run and the daemons take: docs/sizing.md
	@deploy/local/deps.sh test
	.cache/venv/bin/python tests/bench/sizing.py

screenshots: build ## draw docs/pictures, of the dashboard in the tests' browser
	@deploy/local/deps.sh test
	SCREENSHOTS=1 BUILD_DIR=$(CURDIR)/$(BUILD) .cache/venv/bin/pytest -q -p no:cacheprovider tests/e2e/test_page_views.py -k pictures

plots: ## draw bench/results.json into docs/
	/usr/bin/python3 tests/bench/plots.py

# RECORD=1 writes what it counted to tests/bench/instructions.json.
instructions: build $(BUILD)/bench/backlog ## what a request costs in instructions, by valgrind, against what is committed
	@deploy/local/deps.sh test count
	.cache/venv/bin/python tests/bench/instructions.py

# A target is run over its corpus and over damaged copies of it (quick, in make
# test), or with FUZZER=1 and clang by libFuzzer, which make fuzz does.
FUZZ := avro schema request message event letter http_head http_path options json documents body \
    claim said trigger config address tokens redis
FUZZ_SHARED := $(call objects,tests/unit/random.c tests/unit/random_avro.c \
    tests/unit/avro_value.c) $(if $(FUZZER),,$(call objects,tests/fuzz/replay.c))
targets: $(FUZZ:%=$(BUILD)/fuzz/%)
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_SHARED) $(BUILD)/libschedrun.a
	@mkdir -p $(@D)
	$(link)

fuzz: build ## any bytes into every parser (SECONDS=20 for each)
	@deploy/local/deps.sh test fuzz
	@$(MAKE) fuzzers
	.cache/venv/bin/python tests/fuzz/http_bytes.py --seconds $(or $(SECONDS),20)

fuzzers:
	@$(MAKE) CC=clang-$(CLANG) FUZZER=1 SANITIZE=address,undefined targets
	@LANES=$(LANES) PATIENCE=$(PATIENCE) tests/fuzz/run build/sanitize-address-undefined/fuzzer/fuzz $(or $(SECONDS),20)

# PARTS="unit address,undefined/sim"
sanitize: ## tests by ASan, UBSan, TSan and valgrind: a table (PARTS=)
	@deploy/local/deps.sh test count
	@tests/sanitize $(PARTS)

lint: build ## arrows, papers, shape, format, analyzers, hardening
	@deploy/local/deps.sh lint
	@BUILD=$(BUILD) tests/lint/run

# From 13 on gcc follows descriptors and bounds, and is mistaken in most.
GCC_MISTAKEN := $(if $(filter 12,$(shell $(CC) -dumpversion)),,$(addprefix -Wno-analyzer-, \
    deref-before-check fd-leak fd-phase-mismatch fd-use-without-check \
    out-of-bounds use-of-uninitialized-value))
# What analyzers say of one file; its object stands for the headers it includes.
# clang's analyzer gets a fourth of its usual nodes: it finds the same.
ANALYSED := $(COMMON) $(SCHEMAS) $(WORKER) $(PRODUCER) worker/main.c \
    producer/main.c producer/http_main.c producer/builder_main.c producer/trigger_main.c \
    $(UNIT) tests/codec/verdict.c
analysis: $(ANALYSED:%.c=$(BUILD)/lint/%.tidy) \
    $(ANALYSED:%.c=$(BUILD)/lint/%.gcc)
$(BUILD)/lint/%.tidy: %.c $(BUILD)/%.o .clang-tidy tests/.clang-tidy
	@mkdir -p $(@D)
	$(Q)clang-tidy-$(CLANG) --quiet $< -- $(CPPFLAGS) $(OUR_CFLAGS) -Wno-everything \
	    -Xclang -analyzer-config -Xclang max-nodes=40000 2>$@.log || \
	    { cat $@.log >&2; exit 1; }
	@touch $@
$(BUILD)/lint/%.gcc: %.c $(BUILD)/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(OUR_CFLAGS) -fanalyzer $(GCC_MISTAKEN) -c -o /dev/null $<
	@touch $@

compile_commands.json: Makefile ## for editors and clang's tools
	@echo "  JSON  $@"
	$(file >$@,[$(subst } {,}$(comma) {,$(foreach f,$(ANALYSED),{"directory": "$(CURDIR)"$(comma) "file": "$(f)"$(comma) "command": "$(subst ",\",$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS)) -c $(f)"}))])

openapi: ## docs/openapi.json from docs/openapi.yaml, after it was changed
	.cache/venv/bin/python docs/openapi-json >docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

# Made of what the programs and docs/ say; the day is that of the last commit.
MANUAL := $(addprefix $(BUILD)/man/,schedrun.1 schedrun.conf.5 schedrun-catalogue.5 schedrun-errors.7 \
    schedrun-worker.8 schedrun-http.8 schedrun-builder.8 schedrun-trigger.8)
SOURCE_DATE_EPOCH ?= $(or $(word 2,$(RELEASED)),$(shell git log -1 --format=%ct 2>/dev/null || echo 0))
man: $(BUILD)/man/stamp ## the manual pages, into build/man (with Python 3)
$(BUILD)/man/stamp: docs/manual $(wildcard docs/*.md) deploy/schedrun.conf $(PROGRAMS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  MAN   $(@D)")
	$(Q)RUN='$(RUN)' docs/manual $(BUILD) $(@D) $(SOURCE_DATE_EPOCH)
	@touch $@

# A unit names the program where it is installed.  The configuration that an
# operator has changed is neither overwritten nor removed.
SHARE := $(DESTDIR)$(PREFIX)/share
UNITS := $(wildcard deploy/systemd/*.service)
SAMPLES := $(wildcard deploy/*.conf deploy/topics.md) deploy/prometheus/schedrun.rules.yaml deploy/grafana/schedrun.json
IMPORTS := $(wildcard deploy/import/*)
COMPLETIONS := bash:bash-completion/completions/schedrun \
    zsh:zsh/site-functions/_schedrun fish:fish/vendor_completions.d/schedrun.fish
SETTINGS := $(DESTDIR)/etc/schedrun/schedrun.conf

install: build man ## programs, units, manual, completions, samples (PREFIX, DESTDIR, UNITDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITDIR) $(SHARE)/schedrun $(dir $(SETTINGS)) \
	    $(foreach n,1 5 7 8,$(SHARE)/man/man$n) \
	    $(foreach c,$(COMPLETIONS),$(SHARE)/$(dir $(lastword $(subst :, ,$c))))
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	$(foreach u,$(notdir $(UNITS)),sed 's,/usr/local/bin/,$(PREFIX)/bin/,' deploy/systemd/$u >$(DESTDIR)$(UNITDIR)/$u &&) \
	    chmod 644 $(UNITS:deploy/systemd/%=$(DESTDIR)$(UNITDIR)/%)
	$(foreach c,$(COMPLETIONS),$(RUN) $(BUILD)/schedrun completion $(subst :, >$(SHARE)/,$c) &&) \
	    chmod 644 $(foreach c,$(COMPLETIONS),$(SHARE)/$(lastword $(subst :, ,$c)))
	install -m 644 $(SAMPLES) $(filter-out %-job,$(IMPORTS)) $(SHARE)/schedrun
	install -m 755 $(filter %-job,$(IMPORTS)) $(SHARE)/schedrun
	$(foreach n,1 5 7 8,install -m 644 $(filter %.$n,$(MANUAL)) $(SHARE)/man/man$n &&) :
	[ -e $(SETTINGS) ] || install -m 644 deploy/schedrun.conf $(SETTINGS)

uninstall: ## what install has brought, but a configuration that was changed
	! cmp -s $(SHARE)/schedrun/schedrun.conf $(SETTINGS) || rm -f $(SETTINGS)
	rm -f $(PROGRAMS:$(BUILD)/%=$(DESTDIR)$(PREFIX)/bin/%) $(UNITS:deploy/systemd/%=$(DESTDIR)$(UNITDIR)/%) \
	    $(foreach c,$(COMPLETIONS),$(SHARE)/$(lastword $(subst :, ,$c))) $(addprefix $(SHARE)/schedrun/,$(notdir $(SAMPLES) $(IMPORTS))) \
	    $(foreach n,1 5 7 8,$(addprefix $(SHARE)/man/man$n/,$(notdir $(filter %.$n,$(MANUAL)))))
	rmdir --ignore-fail-on-non-empty $(SHARE)/schedrun $(dir $(SETTINGS)) 2>/dev/null || :

# The files go below build/dist.
.PHONY: dist deb sbom reproducible docs check-deploy check-helm test-traces test-systemd test-compose test-image test-deb sizing serializers
dist: ## the last commit as a tarball
	@deploy/package dist build/dist
deb: ## that as Debian packages for this release, judged by lintian
	@deploy/local/deps.sh deb
	@deploy/package deb build/dist
sbom: build ## what the programs are made of, as SPDX
	@deploy/local/deps.sh deb
	@deploy/package sbom build/dist
reproducible: ## tarball, packages and SPDX, made twice in other circumstances: the same bytes
	@deploy/local/deps.sh deb
	@tests/reproducible
docs: ## README and docs/ as a static site with a search, below build/docs; links checked
	@deploy/local/deps.sh deploy
	@.cache/deploy/bin/python docs/site build/docs

check-deploy: build ## containers, manifests and AsyncAPI, judged by what reads them
	@deploy/local/deps.sh deploy
	@.cache/deploy/bin/python tests/deploy/check

test-traces: build $(BUILD)/integration/kafka ## spans, told to the OpenTelemetry collector itself
	@deploy/local/deps.sh test traces
	COLLECTOR=$(CURDIR)/.cache/collector/collector BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) \
	    .cache/venv/bin/pytest -q -p no:cacheprovider tests/e2e/test_traces.py

serializers: build $(BUILD)/integration/kafka ## requests and results by others' Avro serializers, Python's and Java's
	@deploy/local/deps.sh test serializers
	BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) PYTHONPATH=tests/e2e \
	    .cache/venv/bin/pytest -q -p no:cacheprovider -p conftest tests/serializers

check-helm: build ## the chart of deploy/helm, by helm, against the manifests
	@deploy/local/deps.sh deploy helm
	@.cache/deploy/bin/python tests/deploy/check helm

# As root.
test-image: ## the image of deploy/containers, built by buildah and run
	@deploy/local/deps.sh root image
	@tests/deploy/image

# As root.
test-compose: ## compose.yaml on a Docker engine, a stranger's way: own catalogue, alert, runbook
	@deploy/local/deps.sh test root image engine
	@tests/deploy/compose

# As root.  The container's systemd wants cgroups as Debian 12 has them.
test-systemd: deb $(BUILD)/integration/kafka ## the packages' units, started by systemd as PID 1 of a container
	@deploy/local/deps.sh test root systemd
	BUILD_DIR=$(CURDIR)/$(BUILD) SANITIZE=$(SANITIZE) PYTHONPATH=tests/e2e \
	    .cache/venv/bin/pytest -q -p no:cacheprovider -p conftest tests/systemd

# As root; roots are made once, below .cache/.
test-deb: ## packages for Debian 12 and 13: built, installed into a bare root, run, purged
	@deploy/local/deps.sh root
	@tests/packages

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_.-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: FORCE build libraries unit run demo screenshots e2e recipes chaos chaos-long faults test-trixie test-matrix bench plots instructions targets fuzz fuzzers sanitize test deps lint analysis install uninstall clean help openapi man
-include $(shell find $(BUILD) -path $(BUILD)/dist -prune -o -name '*.d' -type f -print 2>/dev/null)
