#!/usr/bin/env bash
# Fetches what the local broker and engine run on, and installs the programs that this takes.
#
#   setup.sh              all that building and `tributary all` need
#   setup.sh test         what the tests need besides
#   setup.sh lock-kafka   writes kafka/jars.lock anew, after a change of kafka/pom.xml
#
# Everything lands in the user's cache folder, checked against digests that are kept here. Done twice, it is done at
# once. Packages are installed on Debian and Ubuntu, as root or with sudo; elsewhere they are named.
set -euo pipefail

runtime=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$runtime/../../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tributary
kafka=$cache/kafka
clickhouse=$cache/clickhouse

# The purchase history that the tests import, as the Python package `lifetimes` ships it.
cdnow_package=lifetimes==0.11.3
cdnow_member=lifetimes/datasets/CDNOW_master.txt
cdnow_sha256=eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- programs -------------------------------------------------------------------------------------------------------

java_version() { # the major version of the java that would run, or nothing
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    have "$java" || return 0
    "$java" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -n 1
}

java_package() { # the oldest that will do: the one that most is tested with
    local package
    for package in openjdk-17-jre-headless openjdk-21-jre-headless openjdk-25-jre-headless; do
        if apt-cache show "$package" >/dev/null 2>&1; then echo "$package" && return; fi
    done
    echo default-jre-headless
}

missing_packages() { # one a line; needs no package index but for Java
    have gcc && [ -e /usr/include/stdio.h ] || printf '%s\n' gcc libc6-dev
    have g++ || echo g++ # librdkafka's configure demands it
    have make || echo make
    have curl || echo curl # the commands that `tributary all` prints to copy
    have mvn || echo maven
    have npm || echo npm
    if [ "$1" = test ] && [ ! -f "$cache/tests/CDNOW_master.txt" ]; then
        have python3 || echo python3
        python3 -m pip --version >/dev/null 2>&1 || echo python3-pip
    fi
    local version
    version=$(java_version)
    [ "${version:-0}" -ge 17 ] || echo java
}

install_packages() {
    local missing root=()
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    local command="apt-get install --no-install-recommends $(tr '\n' ' ' <<<"${missing/java/openjdk-17-jre-headless}")"
    have apt-get || fail "these are missing and must be installed with your system's package manager: $(tr '\n' ' ' <<<"$missing")(java: 17 or later)"
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "programs are missing; as root, run: $command"
        root=(sudo)
    fi
    say "installing $(tr '\n' ' ' <<<"$missing")"
    "${root[@]}" apt-get update -qq || fail "the package index cannot be read; when it can, run: $command"
    if grep -qx java <<<"$missing"; then missing=${missing/java/$(java_package)}; fi
    # shellcheck disable=SC2086 # one word a package
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "the installation failed; to see why, run: $command"
    local version
    version=$(java_version)
    [ "${version:-0}" -ge 17 ] ||
        fail "java is still ${version:-missing}, and 17 or later is needed: set JAVA_HOME, or run: update-alternatives --config java"
}

# ---- Kafka ----------------------------------------------------------------------------------------------------------

fetch_jars() { # into the folder $1
    mvn -B -q -f "$runtime/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1" >&2 ||
        fail "maven could not fetch Kafka's jars; to see why, run: mvn -f $runtime/kafka/pom.xml dependency:resolve"
}

lock_jars() { # of the folder $1: sha256, size, name
    local jar
    for jar in "$1"/*.jar; do
        printf '%s %s %s\n' "$(sha256sum <"$jar" | cut -d' ' -f1)" "$(stat -c %s "$jar")" "${jar##*/}"
    done | LC_ALL=C sort -k3
}

class_path() { # of the folder $1, in the lock's order: an archive of classes fits one order only
    sed "s|.* |$1/|" "$runtime/kafka/jars.lock" | paste -sd:
}

setup_kafka() {
    local stamp=$kafka/libs/.complete new=$kafka/libs.new wanted
    # What was checked once is known by sizes and times from then on.
    wanted=$(cat "$runtime/kafka/jars.lock" && cd "$kafka/libs" 2>/dev/null && stat -c '%n %s %Y' ./*.jar) || true
    if [ ! -f "$stamp" ] || [ "$wanted" != "$(cat "$stamp")" ]; then
        say "fetching Kafka (43 MB)"
        rm -rf "$new" && mkdir -p "$new"
        fetch_jars "$new"
        diff <(lock_jars "$new") "$runtime/kafka/jars.lock" >&2 || fail "Kafka's jars are not those of kafka/jars.lock (above: < found, > expected)"
        rm -rf "$kafka/libs" && mv "$new" "$kafka/libs"
        (cat "$runtime/kafka/jars.lock" && cd "$kafka/libs" && stat -c '%n %s %Y' ./*.jar) >"$stamp"
    fi
    [ -f "$kafka/libs/classes.jsa" ] || archive_classes
}

# A broker that starts once and leaves its classes, parsed and verified: later ones start in half the time. Where this
# does not work they just start slower.
archive_classes() {
    local folder broker
    folder=$(mktemp -d) && say "preparing Kafka's start"
    cat >"$folder/server.properties" <<-PROPERTIES
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:0
		listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0
		controller.listener.names=CONTROLLER
		log.dirs=$folder/log
	PROPERTIES
    local java=("${JAVA_HOME:+$JAVA_HOME/bin/}java" -Xmx512m -XX:+UseSerialGC)
    local classes
    classes=$(class_path "$kafka/libs")
    if "${java[@]}" -cp "$classes" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$folder/server.properties" >"$folder/out" 2>&1; then
        "${java[@]}" -XX:ArchiveClassesAtExit="$kafka/libs/classes.new" -cp "$classes" kafka.Kafka "$folder/server.properties" >"$folder/out" 2>&1 &
        broker=$!
        # Without a known port there is nothing to ask: its classes are loaded once it has been quiet for a while.
        for _ in $(seq 100); do
            [ -e "$folder/log/__cluster_metadata-0/quorum-state" ] && break
            sleep .1
        done
        sleep 3
        kill -TERM "$broker" 2>/dev/null || true
        wait "$broker" || true
        [ ! -s "$kafka/libs/classes.new" ] || mv "$kafka/libs/classes.new" "$kafka/libs/classes.jsa"
    fi
    rm -rf "$folder"
}

# ---- ClickHouse -----------------------------------------------------------------------------------------------------

setup_clickhouse() {
    local stamp=$clickhouse/.complete wanted
    [ -f "$runtime/clickhouse/package-lock.json" ] || return 0
    wanted=$(cat "$runtime/clickhouse/package-lock.json" && stat -Lc '%n %s %Y' "$clickhouse"/node_modules/@chdb/*/libchdb.so 2>/dev/null) || true
    if [ -f "$stamp" ] && [ "$wanted" = "$(cat "$stamp")" ]; then return; fi
    say "fetching the ClickHouse engine (166 MB, 566 MB unpacked)"
    mkdir -p "$clickhouse" && rm -f "$stamp"
    cp "$runtime/clickhouse/package.json" "$runtime/clickhouse/package-lock.json" "$clickhouse/"
    # npm checks the archive's digest against the lock file.
    (cd "$clickhouse" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        fail "npm could not fetch the ClickHouse engine; to see why, run: cd $clickhouse && npm ci"
    (cat "$runtime/clickhouse/package-lock.json" && stat -Lc '%n %s %Y' "$clickhouse"/node_modules/@chdb/*/libchdb.so) >"$stamp"
}

# ---- tests ----------------------------------------------------------------------------------------------------------

setup_tests() {
    local folder=$cache/tests lock project
    if ! sha256sum --quiet --check <<<"$cdnow_sha256  $folder/CDNOW_master.txt" >/dev/null 2>&1; then
        say "fetching the CDNOW purchase history"
        rm -rf "$folder/download" && mkdir -p "$folder/download"
        python3 -m pip download --quiet --no-deps --disable-pip-version-check -d "$folder/download" "$cdnow_package" >&2 ||
            fail "pip could not fetch $cdnow_package"
        python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
            "$folder"/download/*.whl "$cdnow_member" "$folder/download"
        sha256sum --quiet --check <<<"$cdnow_sha256  $folder/download/$cdnow_member" >&2 ||
            fail "$cdnow_member of $cdnow_package is not the expected file"
        mv "$folder/download/$cdnow_member" "$folder/CDNOW_master.txt" && rm -rf "$folder/download"
    fi
    # Clients of other languages, each pinned by a lock file of its own.
    for lock in "$repository"/tests/*/package-lock.json; do
        [ -f "$lock" ] || continue
        project=$(dirname "$lock")
        if ! cmp -s "$lock" "$project/node_modules/.tributary-lock"; then
            say "fetching ${project#"$repository"/}"
            (cd "$project" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || fail "npm ci failed in $project"
            cp "$lock" "$project/node_modules/.tributary-lock"
        fi
    done
}

# ---------------------------------------------------------------------------------------------------------------------

what=${1:-run}
case $what in
run | test)
    install_packages "$what"
    mkdir -p "$cache"
    # Two at a time would undo each other's work.
    exec 9>"$cache/.lock"
    have flock && flock 9
    setup_kafka
    setup_clickhouse
    [ "$what" != test ] || setup_tests
    ;;
lock-kafka)
    folder=$(mktemp -d)
    fetch_jars "$folder"
    lock_jars "$folder" >"$runtime/kafka/jars.lock"
    rm -rf "$folder"
    ;;
*) fail "unknown argument $what: use none, test, or lock-kafka" ;;
esac
