# The habits of the house. `make help` lists them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
GENERATED = src/tokenizer/unicode_tables.c # numbers alone; cppcheck takes minutes over them
# Of cppcheck 2.17: that it does not look at everything; and what it takes for unchecked memory where one check
# is for several pieces.
CPPCHECK_SILENT = normalCheckLevelMaxBranches nullPointerOutOfMemory
# Compiled once an instruction set: gcovr 5.2 cannot merge their functions.
BODIES = src/engine/cpu/kernels/.*\.h
PYTEST = .venv/bin/python -m pytest -q -p no:cacheprovider

.PHONY: help build install run setup-test test test-unit test-server test-asan test-tsan check-deploy check-long check-fresh coverage bench peers test-cuda bench-cuda lint format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

build: ## install what is missing and build build/querent
	@tools/setup build
	@cmake --preset release -DQR_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS)

install: ## build and install program, library and man pages (PREFIX=/usr/local, DESTDIR=)
	@tools/setup install
	@cmake --preset release -DQR_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

run: ## build, fetch the default model, serve on 127.0.0.1:8080 (ARGS="..." for more options)
	@tools/setup run
	@$(MAKE) --no-print-directory build
	@tools/fetch-model
	@tools/run $(ARGS)

setup-test:
	@tools/setup test
	@tools/fetch-model
	@cmake --preset release -DQR_TESTS=ON >/dev/null
	@cmake --build --preset release -j $(JOBS)

test: setup-test ## everything: style, warnings, units on every instruction set, server with real clients, sanitizers
	@tests/run-all

test-unit: setup-test ## Criterion programs of the release build
	@tests/run-units build

test-server: setup-test ## pytest: house rules, command line, whole server
	@$(PYTEST) tests/house
	@tests/run-programs

test-asan: setup-test ## units and server under AddressSanitizer and UBSan
	@tests/run-sanitized asan

test-tsan: setup-test ## units that use threads under ThreadSanitizer
	@tests/run-sanitized tsan

check-deploy: setup-test ## proxies, alerts, the board, manifests, images with the real programs (ARGS="-k NAME ...")
	@tools/setup deploy
	@tests/run-deploy $(ARGS)

check-long: setup-test ## what takes two hours: a fresh Debian, an emulated aarch64, millions of strings, every threaded suite under TSan (ARGS="STEP ...")
	@tools/setup long
	@tests/check-long $(ARGS)

check-fresh: ## the README's two commands on a fresh Debian 12 (RELEASE=trixie: 13), in a chroot; as root (ARGS=run: the first alone)
	@tools/setup long
	@tests/check-fresh $(ARGS)

coverage: setup-test ## line and branch coverage of the units
	@tools/setup coverage
	@cmake --preset coverage >/dev/null && cmake --build --preset coverage -j $(JOBS) -- --quiet
	@tests/run-units build-coverage
	@gcovr -r . --object-directory build-coverage -e tests -e bench -e '$(BODIES)' --branches --print-summary

bench: setup-test ## kernels and whole passes on this machine
	@build/bench/kernels
	@build/querent bench engine --model models/minilm --queries tests/golden/queries.txt

peers: setup-test ## querent beside ONNX Runtime, OpenVINO, CTranslate2 and llama.cpp (docs/SPEED.md)
	@tools/setup peers
	@bench/peers

test-cuda: ## kernels and whole passes on this machine's GPU; needs nvcc, CMake and a compiler, no network (docs/CUDA.md)
	@tests/run-device test

bench-cuda: ## the same GPU timed, beside PyTorch where it is installed, as JSON (ARGS="--runs N")
	@tests/run-device bench $(ARGS)

lint: ## gcc (the chaos build) and clang with -Werror, cppcheck
	@tools/setup lint
	@cmake --preset chaos >/dev/null && cmake --build --preset chaos -j $(JOBS) -- --quiet
	@cmake --preset clang >/dev/null && cmake --build --preset clang -j $(JOBS) -- --quiet
	@cppcheck -q -j $(JOBS) --enable=warning,portability --error-exitcode=1 $(CPPCHECK_SILENT:%=--suppress=%) \
		--include=tools/cppcheck.h -Isrc -Iinclude $(GENERATED:%=-i%) src

format: ## clang-format on all of our C
	@tools/setup format
	@git ls-files -co --exclude-standard '*.c' '*.h' '*.cu' '*.cpp' | xargs clang-format-19 -i

clean: ## remove build trees
	@rm -rf build build-*
