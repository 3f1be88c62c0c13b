#!/bin/sh
# Brings what is missing on a Debian 12 or 13 machine.  Usage: deps.sh PART...
#   build   compiler and libraries
#   run     + Redis, a Java runtime, time zones, Kafka's jars in .cache/kafka/VERSION
#   test    + a Python environment for the tests in .cache/venv, the published
#           SDK in .cache/sdk, and a schema registry in .cache/registry
#   recipes dbt and Dagster, each in a Python environment of its own in .cache/recipes
#   lint    what make lint asks: Python, formatter, analyzers, readelf, Lua
#   fuzz    clang with its fuzzer and sanitizers
#   count   valgrind, which counts instructions
#   peers   a Java compiler, and in .cache/peers what the benchmark's peer needs
#   model   Spin, which searches the model of delivery
#   chaos   network namespaces, certificates
#   security a Kafka whose SCRAM lets any librdkafka in
#   root    what makes a root of another release
#   systemd what boots a container with systemd
#   deb     what makes Debian packages, and judges them
#   serializers others' Avro serializers, in .cache/serializers: Python's, Java's
#   traces  the OpenTelemetry collector, built by Go from its modules, in .cache/collector
#   helm    helm, built by Go from its modules, in .cache/helm
#   image   what builds an image without an engine
#   engine  Docker's engine and compose
#   deploy  what judges deploy/ and makes the site of docs/: a Python environment
#           in .cache/deploy, compose, KEDA's and AsyncAPI's schemas
# Of clang there is one version in a release, which make says by CLANG.
# Each part leaves a stamp in .cache/, so that the second time needs no network.
set -eu
cd "$(dirname "$0")/../.."
cache=.cache
mkdir -p "$cache"

# Compiler, and the libraries: Kafka, Avro, Redis, unit tests;
# event loop of the HTTP server; key sets and the registry over TLS
# (curl), signatures and digests (crypto); readiness for systemd.
build_packages="gcc make pkg-config libc6-dev librdkafka-dev libavro-dev
libhiredis-dev libcunit1-dev libuv1-dev
libcurl4-openssl-dev libsystemd-dev libssl-dev"
# The servers: of KAFKA any version from 3.9, of STORE redis or valkey.
kafka=${KAFKA:-4.1.0}
run_packages="${STORE:-redis}-server default-jre-headless maven curl tzdata"
# promtool (of prometheus) judges the form of /metrics, systemd-analyze the units,
# mandoc the manual, the browser shows the dashboard, Redis gets its TLS by a tunnel.
test_packages="python3 python3-venv prometheus systemd mandoc chromium-headless-shell stunnel4"

clang=${CLANG:-} # make says which
lint_packages="python3 clang-tidy-$clang cppcheck binutils lua5.1 lua-check"
# One version alone formats; elsewhere lint says that it was not asked.
[ "$clang" != 14 ] || lint_packages="$lint_packages clang-format-14"
fuzz_packages="clang-$clang libclang-rt-$clang-dev llvm-$clang"

recipe_packages="python3 python3-venv jq"
root_packages="mmdebstrap debian-archive-keyring iproute2"
# As deploy/debian/control asks for; readelf is of binutils.
deb_packages="$build_packages build-essential debhelper dpkg-dev fakeroot lintian python3 tzdata binutils git"

fail() {
	echo "deps: $1" >&2
	echo "deps: $2" >&2
	exit 1
}

missing() {
	for package in "$@"; do
		dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null |
			grep -q '^install ok installed' || echo "$package"
	done
}

install_packages() {
	command -v dpkg-query >/dev/null ||
		fail "this is no Debian system" "install: $*"
	wanted=$(missing "$@" | tr '\n' ' ')
	[ -n "${wanted% }" ] || return 0
	command="apt-get install -y --no-install-recommends $wanted"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		as_root=sudo
	else
		fail "packages are missing and this user may not install them" \
			"run as root: apt-get update && $command"
	fi
	echo "deps: installing $wanted"
	log=$cache/apt.log
	{ $as_root apt-get update &&
		$as_root env DEBIAN_FRONTEND=noninteractive $command; } >"$log" 2>&1 || {
		tail -5 "$log" >&2
		fail "apt-get failed (whole log: $log)" \
			"check the network, then run: apt-get update && $command"
	}
}

# Kafka's jars of a version, by Maven from its own artifacts.
bring_jars() {
	home=$cache/kafka/$1
	[ -f "$home/stamp" ] && return 0
	echo "deps: bringing Kafka $1 (54 MB)"
	rm -rf "$home"
	mkdir -p "$home"
	mvn -q -B -f deploy/local/pom.xml dependency:copy-dependencies -Dkafka="$1" \
		-DoutputDirectory="$PWD/$home/libs" >"$cache/maven.log" 2>&1 || {
		tail -5 "$cache/maven.log" >&2
		fail "Maven could not bring Kafka's jars (whole log: $cache/maven.log)" \
			"check the network and ~/.m2/settings.xml, then run make deps again"
	}
	touch "$home/stamp"
}

# libs is the version in use.
bring_kafka() {
	bring_jars "$kafka"
	[ "$(readlink "$cache/kafka/libs")" = "$kafka/libs" ] || {
		rm -rf "$cache/kafka/libs"
		ln -s "$kafka/libs" "$cache/kafka/libs"
	}
}

# A schema registry for the tests, by Maven as well: Apicurio's, which speaks
# Confluent's protocol below /apis/ccompat/v7 and keeps all in memory.
bring_registry() {
	version=2.6.13.Final
	stamp=$cache/registry/$version.stamp
	[ -f "$stamp" ] && return 0
	echo "deps: bringing Apicurio Registry $version (142 MB)"
	rm -rf "$cache/registry"
	mkdir -p "$cache/registry"
	{ mvn -q -B dependency:copy \
		-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all \
		-DoutputDirectory="$PWD/$cache/registry" &&
		tar xzf "$cache"/registry/*.tar.gz -C "$cache/registry" &&
		rm "$cache"/registry/*.tar.gz; } >"$cache/maven.log" 2>&1 || {
		tail -5 "$cache/maven.log" >&2
		fail "Maven could not bring the registry (whole log: $cache/maven.log)" \
			"check the network and ~/.m2/settings.xml, then run make deps again"
	}
	touch "$stamp"
}

bring_peers() {
	stamp=$cache/peers/$(cksum <tests/bench/peers/pom.xml | cut -d' ' -f1).stamp
	[ -f "$stamp" ] && return 0
	echo "deps: bringing what the Java peer needs (25 MB)"
	rm -rf "$cache/peers"
	mvn -q -B -f tests/bench/peers/pom.xml dependency:copy-dependencies \
		-DoutputDirectory="$PWD/$cache/peers" >"$cache/maven.log" 2>&1 || {
		tail -5 "$cache/maven.log" >&2
		fail "Maven could not bring the peer's jars (whole log: $cache/maven.log)" \
			"check the network and ~/.m2/settings.xml, then run make bench again"
	}
	touch "$stamp"
}

# make_venv HOME PINS PART [OPTION]: wheels by their hashes, for `make PART`; of
# Debian's own Python, as another one that stands first in PATH may lack venv.
make_venv() {
	stamp=$1/$(cksum <"$2" | cut -d' ' -f1).stamp
	[ -f "$stamp" ] && return 0
	echo "deps: bringing the Python packages of $2"
	rm -rf "$1"
	mkdir -p "${1%/*}"
	{ /usr/bin/python3 -m venv "$1" &&
		"$1/bin/pip" install -q --disable-pip-version-check \
			${4:-} --require-hashes --only-binary :all: -r "$2"; } >"$1.log" 2>&1 || {
		tail -5 "$1.log" >&2
		fail "the packages of $2 could not be brought (whole log: $1.log)" \
			"check the network, then run make $3 again"
	}
	touch "$stamp"
}

# make_venvs FOLDER PART: one for each file of pins in that folder of tests/, as they don't go together.
make_venvs() {
	for pins in tests/"$1"/*.txt; do
		make_venv "$cache/$1/$(basename "$pins" .txt)" "$pins" "$2" --no-deps
	done
}

# The schemas that others publish: KEDA's in its Go module, AsyncAPI's in its npm package.
keda=v2.17.0
asyncapi=6.11.1
bring_schemas() {
	stamp=$cache/deploy/$keda-$asyncapi.stamp
	[ -f "$stamp" ] && return 0
	echo "deps: bringing the schemas of KEDA $keda and AsyncAPI (20 MB)"
	command -v go >/dev/null || install_packages golang-go
	command -v npm >/dev/null || install_packages npm
	folder=$(mktemp -d)
	{ (cd "$folder" && GOPATH=$folder/go GOFLAGS=-modcacherw go mod download github.com/kedacore/keda/v2@$keda &&
		npm pack --silent @asyncapi/specs@$asyncapi && tar xzf asyncapi-specs-$asyncapi.tgz) &&
		cp "$folder"/go/pkg/mod/github.com/kedacore/keda/v2@$keda/config/crd/bases/keda.sh_scaledobjects.yaml "$cache/deploy/" &&
		cp "$folder/package/schemas/3.0.0.json" "$cache/deploy/asyncapi-3.0.0.json"; } >"$cache/deploy.log" 2>&1 || {
		tail -5 "$cache/deploy.log" >&2
		rm -rf "$folder"
		fail "the schemas could not be brought (whole log: $cache/deploy.log)" \
			"check the network, then run make check-deploy again"
	}
	rm -rf "$folder"
	touch "$stamp"
}

# build_go NAME FOLDER PACKAGE: of a module of ours, by the versions of its go.sum;
# Go brings the toolchain that they ask for.
build_go() {
	stamp=$cache/$1/$(cat "$2"/* | cksum | cut -d' ' -f1).stamp
	[ -f "$stamp" ] && return 0
	echo "deps: building $1 (150 MB of modules, some minutes)"
	command -v go >/dev/null || install_packages golang-go
	rm -rf "${cache:?}/$1"
	mkdir -p "$cache/$1"
	(cd "$2" && go build -trimpath -o "$OLDPWD/$cache/$1/$1" "$3") >"$cache/$1.log" 2>&1 || {
		tail -5 "$cache/$1.log" >&2
		fail "$1 could not be built (whole log: $cache/$1.log)" \
			"check the network and that Go is 1.21 or later, which Debian 12's isn't; then run make again"
	}
	touch "$stamp"
}

# Java's; Python's are in an environment beside them.
bring_serializers() {
	home=$cache/serializers/libs
	stamp=$home/$(cksum <tests/serializers/pom.xml | cut -d' ' -f1).stamp
	[ -f "$stamp" ] && return 0
	echo "deps: bringing Apicurio's serializers (20 MB)"
	rm -rf "$home"
	mvn -q -B -f tests/serializers/pom.xml dependency:copy-dependencies \
		-DoutputDirectory="$PWD/$home" >"$cache/maven.log" 2>&1 || {
		tail -5 "$cache/maven.log" >&2
		fail "Maven could not bring the serializers (whole log: $cache/maven.log)" \
			"check the network and ~/.m2/settings.xml, then run make serializers again"
	}
	touch "$stamp"
}

for part in "${@:-run}"; do
	case $part in
	build)
		install_packages $build_packages
		;;
	run)
		install_packages $build_packages $run_packages
		bring_kafka
		;;
	test)
		install_packages $build_packages $run_packages $test_packages
		bring_kafka
		bring_registry
		make_venv $cache/venv tests/requirements.txt deps
		make_venvs sdk deps
		;;
	recipes)
		install_packages $recipe_packages
		make_venvs recipes recipes
		;;
	lint)
		install_packages $lint_packages
		;;
	fuzz)
		install_packages $build_packages $fuzz_packages
		;;
	peers)
		install_packages default-jdk-headless maven
		bring_peers
		;;
	count)
		install_packages valgrind
		;;
	model)
		install_packages $build_packages spin
		;;
	chaos)
		install_packages iproute2 openssl
		;;
	security)
		bring_jars 3.9.1
		;;
	root)
		install_packages $root_packages
		;;
	systemd)
		install_packages systemd-container util-linux
		;;
	deb)
		install_packages $deb_packages
		;;
	serializers)
		install_packages default-jdk-headless maven python3 python3-venv
		make_venv $cache/serializers/venv tests/serializers/requirements.txt serializers --no-deps
		bring_serializers
		;;
	traces)
		build_go collector tests/traces/collector .
		;;
	helm)
		build_go helm tests/deploy/helm helm.sh/helm/v3/cmd/helm
		;;
	engine)
		install_packages docker.io docker-compose iptables iproute2
		;;
	image)
		install_packages buildah curl git
		;;
	deploy)
		install_packages python3 python3-venv docker-compose
		make_venv $cache/deploy tests/deploy/requirements.txt check-deploy
		bring_schemas
		;;
	*)
		fail "unknown part \"$part\"" \
			"one of build, run, test, recipes, lint, fuzz, count, peers, model, chaos, security, root, systemd, deb, serializers, traces, helm, image, engine, deploy"
		;;
	esac
done
