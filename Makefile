# SPDX-License-Identifier: Apache-2.0
# What a newcomer types. Meson does the building; this only names the jobs.
.DEFAULT_GOAL := help
BUILD := build/release

.PHONY: help deps deps-check build demo demo-clean check soak bench bench-quick bench-doc bench-tools \
	fuzz install uninstall deb clean format

help:
	@printf '%s\n' \
	'make demo         install what is missing, build, show weft working on this machine (root)' \
	'make demo KEEP=1  the same, and leave it standing; make demo-clean takes it away' \
	'make check        install what is missing, build, run every test (root)' \
	'make build        build weftd and weft into $(BUILD)' \
	'make install      install them, manual pages, units and completions (PREFIX=/usr/local, DESTDIR=)' \
	'make uninstall    take away what make install has put there' \
	'make deb          build and check a Debian package: build/deb/weft_VERSION_ARCH.deb' \
	'make bench        weftd against wireguard-go and the bare wire, in turn: 15 minutes (root)' \
	'make bench-quick  the same in two minutes, compared with the committed ratios (root)' \
	'make bench-doc    put the figures of the last bench into docs/performance.md' \
	'make soak         mixed load for an hour, and a verdict (root; DURATION=60 for a minute)' \
	'make fuzz         fuzz every parser, SECONDS=600 each' \
	'make format       clang-format over the sources' \
	'make clean        remove build/'

deps:
	@scripts/deps.sh demo

deps-check:
	@scripts/deps.sh check

$(BUILD)/build.ninja:
	@mkdir -p build
	@meson setup $(BUILD) --buildtype=release -Ddebug=true -Dtests=disabled \
		>build/setup.log || { cat build/setup.log; exit 1; }

build: deps $(BUILD)/build.ninja
	@echo 'weft: building $(BUILD)'
	@ninja -C $(BUILD) --quiet

demo: build
	@WEFT_BUILD=$(CURDIR)/$(BUILD) KEEP=$(KEEP) scripts/demo.sh

demo-clean:
	@scripts/demo.sh --clean

check: deps-check
	@scripts/check.py

bench-tools: deps-check build
	@ninja -C $(BUILD) --quiet bench-tools

# ARGS: options of tests/bench/bench.py, as in make bench ARGS='--only tcp,ping'
bench: bench-tools
	@WEFT_BUILD=$(CURDIR)/$(BUILD) tests/bench/bench.py $(ARGS)

bench-quick: bench-tools
	@WEFT_BUILD=$(CURDIR)/$(BUILD) tests/bench/bench.py --quick $(ARGS)

bench-doc:
	@tests/bench/report.py build/bench/bench.json docs/performance.md

soak: deps-check build
	@WEFT_BUILD=$(CURDIR)/$(BUILD) tests/soak/soak.py --seconds $(or $(DURATION),3600) \
		--out build/soak

fuzz: deps-check
	@scripts/fuzz.sh $(or $(SECONDS),600)

# The prefix is set each time, so that it is what is asked for now, not what the tree began with.
install: build
	@meson configure $(BUILD) --prefix=$(or $(PREFIX),/usr/local) >/dev/null
	@ninja -C $(BUILD) --quiet >/dev/null
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(DESTDIR))

uninstall:
	@ninja -C $(BUILD) --quiet uninstall >/dev/null

deb:
	@scripts/deps.sh deb
	@scripts/deb.sh

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format -i

clean:
	@rm -rf build
