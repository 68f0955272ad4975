# The front door of the project. `make demo` and `make test` are all a newcomer needs.
SHELL := /bin/bash
SWIFT ?= swift
PREFIX ?= /usr/local
DEBIAN_PACKAGES := libsqlite3-dev libseccomp-dev libcap-dev libmnl-dev libnftnl-dev
RELEASE_PACKAGES := dpkg-dev binutils
TEST_PACKAGES := gcc libc6-dev python3 util-linux bsdutils libck-dev fapolicyd e2fsprogs valgrind jq git make nginx-light redis-server runc crun busybox-static nftables iproute2 netbase curl openssl procps
# What they recommend is a desktop.
GUEST_PACKAGES := --no-install-recommends qemu-system-x86 busybox-static kmod xz-utils binutils
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
BUILD_FLAGS ?= -j 2
FUZZ_SECONDS ?= 300
STARTS ?= 1000
# KubeArmor's published policies, for `make test-podman`.
POLICIES ?= ../shared/compat/policies
# Tests that wait for connections: beside those that calculate, which hold every thread there is, they would wait for long.
NETWORK_TESTS := ^(RPCServicesTests|RelayServiceTests|NetworkEnforcementTests)\.
# The relay's page in Chromium, which is a package of 100 MB: `make test-web`.
BROWSER_TESTS := ^RelayServiceTests\.PageTests
# Their results are what docs/coverage.md may claim.
KERNEL_TESTS = mkdir -p out && rm -f out/kernel* && ulimit -n 4096 && PORTCULLIS_FIGURES=$(CURDIR)/out/kernel-figures \
	$(SWIFT) test --skip-build --no-parallel --filter '^KernelTests\.' --xunit-output out/kernel.xml
# Some tests of every mechanism, on Linux 5.10 under qemu (integration/kernels/suites.py).
OLDEST_KERNEL = $(SUDO) integration/kernels/run --oldest --out out/oldest-kernel
KERNEL_RESULTS = out/kernel-swift-testing.xml out/kernel-figures

.PHONY: all deps test-deps build release deb demo test test-unit test-root coverage threats test-c test-systemd test-podman test-containerd test-web faults machine-faults soak protos fmt fmt-check lint bench fuzz fuzz-regress clean install install-hooks test-first-instruction test-oldest-kernel test-kernels coverage-kernels image test-image

all: build

# Build dependencies; asks the package manager only when something is missing.
deps:
	@scripts/install-packages $(DEBIAN_PACKAGES)

test-deps: deps
	@scripts/install-packages $(TEST_PACKAGES)
	@scripts/install-python-packages

build: deps
	$(SWIFT) build $(BUILD_FLAGS)

# Static programs, which run with any libc.
release: deps
	@scripts/install-packages $(RELEASE_PACKAGES)
	SWIFT="$(SWIFT)" scripts/build-release $(BUILD_FLAGS)

# out/portcullis_VERSION_ARCHITECTURE.deb
deb: release
	@scripts/build-deb "$$($(SWIFT) build -c release --show-bin-path)" out

# out/portcullis-image.tar: an OCI archive of the image for nodes (containers/README.md). Needs no registry.
image: deb
	@scripts/install-packages buildah busybox-static
	@$(SUDO) containers/image/build out/portcullis_[0-9]*.deb out/portcullis-image.tar

# The image, by hand and as the DaemonSet's pod, run by podman beside a process whose namespaces stand for a node's.
test-image: image
	@scripts/install-packages podman runc conmon catatonit golang-github-containers-common jq
	@$(SUDO) integration/image out/portcullis-image.tar

demo: build
	@$(SUDO) scripts/demo "$$($(SWIFT) build --show-bin-path)"

# Everything, kernel tests included; the test runner's own closing line comes last.
test: test-deps lint test-c
	@scripts/install-packages $(GUEST_PACKAGES)
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	@scripts/require-root
	scripts/count-verdict-allocations
	$(KERNEL_TESTS) 2>&1 | scripts/fail-on-skip
	scripts/coverage check $(KERNEL_RESULTS)
	$(OLDEST_KERNEL)
	$(SWIFT) test --skip-build --filter '$(NETWORK_TESTS)' --skip '$(BROWSER_TESTS)' \
	    --xunit-output out/network.xml 2>&1 | scripts/fail-on-skip
	scripts/threats check out/kernel-swift-testing.xml out/network-swift-testing.xml
	$(SWIFT) test --skip-build --skip '^KernelTests\.|$(NETWORK_TESTS)' 2>&1 | scripts/fail-on-skip

test-unit: deps
	$(SWIFT) test $(BUILD_FLAGS) --skip '^KernelTests\.|$(BROWSER_TESTS)'

test-root: test-deps
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	@scripts/require-root
	$(KERNEL_TESTS) 2>&1 | scripts/fail-on-skip
	scripts/coverage check $(KERNEL_RESULTS)

test-c:
	scripts/test-c

# The tables of docs/coverage.md, anew from the last run of the kernel tests.
coverage:
	scripts/coverage write $(KERNEL_RESULTS)

# What `make test` runs of them on the oldest kernel, which is fetched from Debian's archive once.
test-oldest-kernel: test-deps
	@scripts/install-packages $(GUEST_PACKAGES)
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	$(OLDEST_KERNEL)

# KernelTests on Debian's kernels 5.10, 6.1 and 6.12 under qemu, all at once, and on this machine's (docs/coverage.md). Fetches the
# kernels once; not part of `make test`: an emulated processor takes its time.
KERNELS ?= 5.10,6.1,6.12
test-kernels: test-deps
	@scripts/install-packages $(GUEST_PACKAGES)
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	@$(SUDO) integration/kernels/run --kernels $(KERNELS) --here --out out/kernels
	scripts/kernels check out/kernels

# Its tables, anew from the last run of it.
coverage-kernels:
	scripts/kernels write out/kernels

# docs/threats.md, anew.
threats:
	scripts/threats write

# The package under a real systemd and an old glibc. Needs the network; not part of `make test`.
test-systemd: deb
	@scripts/install-packages debootstrap systemd-container
	@scripts/build-deb "$$($(SWIFT) build -c release --show-bin-path)" out/newer 99.0 >/dev/null
	@$(SUDO) integration/systemd-boot out/portcullis_[0-9]*.deb out/newer/portcullis_99*.deb

# An agent that is killed, stopped, starved and flooded; and half an hour of work, after which it is as large as before
# (docs/reliability.md). Not part of `make test`.
faults: build
	@scripts/install-packages python3
	@$(SUDO) integration/faults "$$($(SWIFT) build --show-bin-path)"

# A clock that is set and a table of open files that is full, in a guest, which is a machine of its own: those are the whole machine's.
MACHINE_FAULTS_KERNEL ?= 6.12
machine-faults: test-deps
	@scripts/install-packages $(GUEST_PACKAGES)
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	@mkdir -p out && echo 'python3 $(CURDIR)/integration/machine-faults $$1' >out/machine-faults.job
	@$(SUDO) integration/kernels/run --kernels $(MACHINE_FAULTS_KERNEL) --job out/machine-faults.job --out out | tee out/machine-faults.txt
	@grep -q '^machine-faults: passed' out/machine-faults.txt

SOAK_SECONDS ?= 1800
soak: build
	@scripts/install-packages python3
	@$(SUDO) integration/soak "$$($(SWIFT) build --show-bin-path)" $(SOAK_SECONDS)

# Containers of podman, of root and of a user without privileges, and of runc and crun: a table of published policies. Not part of `make test`: podman brings a hundred packages.
test-podman: test-deps
	$(SWIFT) build $(BUILD_FLAGS)
	@scripts/install-packages podman runc crun conmon uidmap golang-github-containers-common netavark busybox-static jq
	@$(SUDO) integration/podman "$$($(SWIFT) build --show-bin-path)"
	@$(SUDO) integration/container-table "$$($(SWIFT) build --show-bin-path)" "$(POLICIES)"

# A real containerd with runc: our runtime before it, labels of ctr's, containers that run already. Not part of `make test` either.
test-containerd: test-deps
	$(SWIFT) build $(BUILD_FLAGS)
	@scripts/install-packages containerd podman conmon golang-github-containers-common
	@$(SUDO) integration/containerd "$$($(SWIFT) build --show-bin-path)"

# A thousand container starts whose first action is forbidden, and a control that loses. `make test` has a short form (b30…).
test-first-instruction: test-deps
	$(SWIFT) build $(BUILD_FLAGS)
	@$(SUDO) integration/first-instruction "$$($(SWIFT) build --show-bin-path)" $(STARTS)

# The relay's page in headless Chromium; leaves screenshots in out/web-page. Not part of `make test`.
test-web: test-deps
	@scripts/install-packages chromium fonts-dejavu-core
	@scripts/install-python-packages web
	$(SWIFT) build --build-tests $(BUILD_FLAGS)
	$(SWIFT) test --skip-build --filter '$(BROWSER_TESTS)' 2>&1 | scripts/fail-on-skip

# The Swift files of Sources/WireProtocol from Protos/; needs protoc.
protos:
	@scripts/install-packages protobuf-compiler
	scripts/generate-protos

lint: fmt-check
	scripts/generate-protos --check
	scripts/check-layering --self-test
	scripts/check-layering
	scripts/coverage --self-test
	scripts/coverage check
	scripts/kernels --self-test
	scripts/kernels check
	scripts/threats --self-test
	scripts/threats check

fmt:
	$(SWIFT) format -i -r --configuration .swift-format Package.swift Sources Tests FuzzTesting/Package.swift FuzzTesting/Sources

fmt-check:
	$(SWIFT) format lint -s -r --configuration .swift-format Package.swift Sources Tests FuzzTesting/Package.swift FuzzTesting/Sources

bench: test-deps release
	@$(SUDO) scripts/bench

# Fuzzes each target for FUZZ_SECONDS with libFuzzer.
fuzz: deps
	scripts/fuzz $(FUZZ_SECONDS)

# Replays every saved fuzz input through the code it once broke; `make test` runs these tests too.
fuzz-regress:
	scripts/fuzz-regress

install: release
	scripts/install-programs "$$($(SWIFT) build -c release --show-bin-path)" "$(DESTDIR)$(PREFIX)"
	install -d -m 0755 $(DESTDIR)/etc/portcullis/policies
	install -d -m 0750 $(DESTDIR)/var/log/portcullis
	@# Without the package's users; those by default are numbers.
	[ -e $(DESTDIR)/etc/portcullis/config.yaml ] || \
	    sed '/User:/d; /^# Who the front/,/^$$/d' packaging/config.yaml >$(DESTDIR)/etc/portcullis/config.yaml
	install -d -m 0755 $(DESTDIR)/etc/systemd/system
	for unit in portcullisd portcullis-relay; do \
	    sed 's|/usr/sbin|$(PREFIX)/sbin|' systemd/$$unit.service >$(DESTDIR)/etc/systemd/system/$$unit.service; \
	done

# From then on no container of podman or CRI-O starts without the agent.
install-hooks:
	install -d -m 0755 $(DESTDIR)/usr/share/containers/oci/hooks.d
	for hook in containers/hooks.d/*.json; do \
	    sed 's|/usr/libexec|$(PREFIX)/libexec|' $$hook >$(DESTDIR)/usr/share/containers/oci/hooks.d/$${hook##*/}; done

clean:
	rm -rf .build Benchmarks/*/.build FuzzTesting/.build out
