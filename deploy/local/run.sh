#!/usr/bin/env bash
# The whole system on this machine: a real Kafka and Redis in .run/, the sample
# catalogue, a worker, the adapter and two triggers; new data that becomes a build by
# itself, one run over HTTP, one over Kafka.
#   run.sh run    stays up until ^C       run.sh demo    ends after the runs
# Ports are the usual ones where they are free (Kafka 9092, Redis 6379, the API
# 8080, metrics 9464 and on), else any.  RUN_DIR=DIR keeps its files elsewhere,
# STORE=valkey takes that for Redis.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-run}
directory=${RUN_DIR:-$PWD/.run}
jars=$PWD/.cache/kafka/libs
store=${STORE:-redis} # or valkey
user=f05f8da4-b84c-4fca-9c77-8af0b13d11de
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
started=$(date +%s%N)
pids=()

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\033[1m' plain=$'\033[0m'
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
step() {
	local now
	now=$(date +%s%N)
	printf '%6.1f s  %s\n' "$(((now - started) / 1000000))e-3" "$*"
}
fail() {
	echo "run: $1" >&2
	[ -z "${2:-}" ] || { echo "run: last lines of $2:" >&2; tail -5 "$2" >&2; }
	exit 1
}

# Ends what was started here, newest first, by its pid.
finish() {
	local status=$? i
	trap - EXIT INT TERM
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || continue
		timeout 15 tail -s 0.05 --pid="${pids[i]}" -f /dev/null ||
			kill -KILL "${pids[i]}" 2>/dev/null || true
	done
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() { # the wanted one, else one that nobody listens on, below those of connections
	local port=$1 last
	read -r last _ </proc/sys/net/ipv4/ip_local_port_range
	while in_use "$port"; do
		port=$((10000 + RANDOM % (last - 10000)))
	done
	echo "$port"
}

wait_until() { # seconds, log, pid, command...
	local deadline=$((SECONDS + $1)) log=$2 pid=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || fail "a program has ended: $*" "$log"
		[ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for: $*" "$log"
		read -rt 0.1 <> <(:) || true
	done
}

# A folder given by RUN_DIR is emptied only if it was ours before; in .run what
# tests have left of their own stays.
if [ -n "${RUN_DIR:-}" ]; then
	[ ! -e "$directory" ] || [ -z "$(ls -A "$directory")" ] || [ -e "$directory/server.properties" ] ||
		fail "$directory is not empty and was not made by this script: give RUN_DIR another folder"
fi
mkdir -p "$directory"
exec 8<"$directory"
flock -n 8 || fail "another make run, or what it has left, is at work in $directory: RUN_DIR=DIR keeps this one's files elsewhere"
find "$directory" -mindepth 1 -maxdepth 1 ! -name matrix ! -name 'chaos-*' ! -name sanitize ! -name fuzz -exec rm -rf {} +
broker=$(free_port 9092) controller=$(free_port 9093) redis=$(free_port 6379)
http=$(free_port 8080) admin=$(free_port 9464) http_admin=$(free_port 9465) trigger_admin=$(free_port 9467)
cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
java=(java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*")
cat >"$directory/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
log.dirs=$directory/kafka
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
controlled.shutdown.enable=false
EOF
"${java[@]}" kafka.tools.StorageTool format "--cluster-id=$cluster" -c "$directory/server.properties" \
	>"$directory/format.log" 2>&1 || fail "Kafka's storage could not be made" "$directory/format.log"
"${java[@]}" kafka.Kafka "$directory/server.properties" >"$directory/kafka.log" 2>&1 &
pids+=($!)
kafka_pid=$!
"$store-server" deploy/redis.conf --port "$redis" --dir "$directory" >"$directory/redis.log" 2>&1 &
pids+=($!)
redis_pid=$!
is_our_redis() { "$store-cli" -p "$redis" info server | grep -q "^process_id:$redis_pid"; }
wait_until 20 "$directory/redis.log" "$redis_pid" is_our_redis
step "${store^} $("$store-cli" -p "$redis" info server | sed -n "s/^${store}_version:\([0-9.]*\).*/\1/p") on port $redis"

export SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$broker SCHEDRUN_REDIS_URL=redis://127.0.0.1:$redis/0
build/schedrun --timeout 60s init --partitions 6 --replication 1 >"$directory/init.log" 2>&1 ||
	fail "schedrun init" "$directory/init.log"
kill -0 "$kafka_pid" 2>/dev/null || fail "Kafka has ended; is port $broker or $controller another's by now?" "$directory/kafka.log"
[ "$("$store-cli" -p "$redis" hget schedrun:meta cluster)" = "$cluster" ] ||
	fail "another Kafka has come to port $broker meanwhile: start this one again"
step "Kafka on port $broker; topics, schemas, Redis prepared (schedrun init)"
for catalogue in deploy/local/catalogue.json deploy/local/loop.json; do
	build/schedrun apply "$catalogue" >"$directory/apply.log" 2>&1 ||
		fail "schedrun apply" "$directory/apply.log"
done
step "sample catalogues loaded (schedrun apply deploy/local/catalogue.json, deploy/local/loop.json)"

(umask 077 && echo "$token $user api:orchestration-read api:orchestration-write" >"$directory/tokens")
build/schedrun-worker -s worker.id=local -s "admin.listen=127.0.0.1:$admin" >"$directory/worker.log" 2>&1 &
pids+=($!)
worker_pid=$!
build/schedrun-http -s "http.listen=127.0.0.1:$http" -s http.auth=token-file -s http.drain=0 -s http.page=write \
	-s "http.token.file=$directory/tokens" -s "admin.listen=127.0.0.1:$http_admin" >"$directory/http.log" 2>&1 &
pids+=($!)
http_pid=$!
build/schedrun-trigger -s "admin.listen=127.0.0.1:$trigger_admin" >"$directory/trigger.log" 2>&1 &
pids+=($!)
trigger_pid=$!
build/schedrun-trigger -s admin.listen=127.0.0.1:0 >"$directory/trigger-2.log" 2>&1 &
pids+=($!)
wait_until 30 "$directory/worker.log" "$worker_pid" curl -fs "http://127.0.0.1:$admin/readyz"
wait_until 30 "$directory/http.log" "$http_pid" curl -fs "http://127.0.0.1:$http_admin/readyz"
wait_until 30 "$directory/trigger.log" "$trigger_pid" curl -fs "http://127.0.0.1:$trigger_admin/readyz"
step "worker, adapter and two triggers are ready"

data=$directory/data
mkdir "$data"
for name in orders-raw customers-raw customers-clean rates; do # what stands for datasets
	seq -f "$name %g" 3 >"$data/ri.foundry.main.dataset.$name"
done
builder="schedrun-builder -s builder.logs=$directory/builds -s 'builder.command=$PWD/deploy/local/job $data'"
start_builder() { # and only for a while in `make run`: README goes on with what is stale
	build/schedrun-builder -s "builder.logs=$directory/builds" -s admin.listen=127.0.0.1:0 \
		-s "builder.command=$PWD/deploy/local/job $data" >>"$directory/builder.log" 2>&1 &
	builder_pid=$!
	pids+=("$builder_pid")
}
has_ended() { build/schedrun build list --schedule "$1" -o jsonl | grep -q SUCCEEDED; }
commit() {
	echo "schedrun dataset commit ri.foundry.main.dataset.words-raw --branch master --kafka"
	build/schedrun dataset commit ri.foundry.main.dataset.words-raw --branch master --kafka >>"$directory/commits.out"
}
say "The loop: new data comes, and what is made of it is built"
printf 'pear\napple\nfig\n' >"$data/ri.foundry.main.dataset.words-raw"
start_builder
words=ri.scheduler.main.schedule.words-on-data
echo "its schedule waits for the dataset words-raw; its job sorts that file into words-sorted"
commit
wait_until 60 "$directory/builder.log" "$builder_pid" has_ended "$words"
step "the trigger has asked, the worker planned, the builder built:"
build/schedrun run list --schedule "$words" -o table
echo "words-sorted: $(tr '\n' ' ' <"$data/ri.foundry.main.dataset.words-sorted")"
echo "schedrun submit $words --wait 30s    # once more, by hand: nothing has come since"
build/schedrun submit "$words" --wait 30s | tail -1 | sed -E 's/.*"result":(\{[^}]*\}).*/\1/'
kill -TERM "$builder_pid"
wait "$builder_pid" || true

say "Cron: once a minute, by two triggers and no leader"
minutely=ri.scheduler.main.schedule.words-each-minute
echo "schedrun schedule next $minutely -n 2"
build/schedrun schedule next "$minutely" -n 2 -o table
[ "$mode" = run ] || echo "(make run stays up, and shows each as it comes)"

schedule=ri.scheduler.main.schedule.orders-hourly
api=http://127.0.0.1:$http/api/v2/orchestration
say "A run over HTTP"
echo "curl -X POST -H \"Authorization: Bearer \$TOKEN\" -H 'Prefer: wait=30' \\"
echo "  \"\$API/schedules/$schedule/run?preview=true\""
curl -fsS -X POST -H "Authorization: Bearer $token" -H 'Prefer: wait=30' "$api/schedules/$schedule/run?preview=true"
echo

say "A run over Kafka"
echo "schedrun submit ri.scheduler.main.schedule.report-nightly --wait 30s"
build/schedrun submit ri.scheduler.main.schedule.report-nightly --wait 30s | tee "$directory/submit.out"

say "Its build, and why each job runs"
run=$(sed -n '1s/.*"runRid":"\([^"]*\)".*/\1/p' "$directory/submit.out")
echo "schedrun run explain $run"
wait_until 10 "$directory/http.log" "$http_pid" build/schedrun run explain "$run" # folded by the adapter
build/schedrun run explain "$run" -o table

if [ "$mode" = demo ]; then # what is built is not stale any more: README goes on without
	say "The builds carried out: a process for each job"
	echo "$builder"
	build=$(sed -n '2s/.*"buildRid":"\([^"]*\)".*/\1/p' "$directory/submit.out")
	start_builder
	wait_until 30 "$directory/builder.log" "$builder_pid" grep -q "\"*event\"*[=:]\"*build_ended.*$build\|$build.*build_ended" "$directory/builder.log"
	build/schedrun build get "$build" -o table
	build/schedrun -s "builder.logs=$directory/builds" build logs "$build"
fi

say "Why a run ends as it does: one schedule for each outcome"
for name in customers-hourly on-holiday dropped-target loop contradiction other-project upload left-company; do
	build/schedrun submit "ri.scheduler.main.schedule.$name" --wait 30s | tail -1 |
		sed -E "s/.*\"result\":(\{[^}]*\}).*/$(printf '%-16s' "$name") \1/" || true
done

total=$((($(date +%s%N) - started) / 100000000))
say "up in $((total / 10)).$((total % 10)) s"
echo "API     $api"
echo "page    http://127.0.0.1:$http/#token=$token"
echo "admin   http://127.0.0.1:$admin/metrics (worker)  http://127.0.0.1:$http_admin/metrics (http)  http://127.0.0.1:$trigger_admin/metrics (trigger)"
echo "builds  are carried out by none now; by you: $builder"
echo "Kafka   127.0.0.1:$broker   Redis 127.0.0.1:$redis   logs $directory"
(umask 077 && cat >"$directory/env") <<EOF
export PATH=$PWD/build:\$PATH
export SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS=$SCHEDRUN_KAFKA_BOOTSTRAP_SERVERS
export SCHEDRUN_REDIS_URL=$SCHEDRUN_REDIS_URL
export API=$api
export TOKEN=$token
EOF
say "For another shell (. ${directory#"$PWD/"}/env)"
cat "$directory/env"
[ "$mode" = demo ] && exit 0
echo "stays up until ^C; meanwhile the runs that the two triggers ask for, one each minute (schedrun watch --schedule $minutely):"
build/schedrun watch --schedule "$minutely" -o jsonl &
pids+=($!)
wait "$kafka_pid" || true
fail "Kafka has ended" "$directory/kafka.log"
