#!/usr/bin/env bash
# A whole cluster on this machine: a Ray head and two more nodes, an MLflow server and PostgreSQL.
#
#   deploy/loopback.sh up                  # start it; says where it is
#   deploy/loopback.sh submit FILE [ARG…]  # run a study on it, as `autosched submit --space FILE ARG…`
#   deploy/loopback.sh autosched ARG…      # any command of autosched with this cluster's ledger
#   deploy/loopback.sh end PART [SIGNAL]   # end head, node1, node2, mlflow or postgres, by default with KILL
#   deploy/loopback.sh again PART          # start it again
#   deploy/loopback.sh down                # end it: no process, port or namespace is left, the data are removed
#
# As root every node is in a network namespace of its own, reached by a bridge that nothing outside of the machine is on;
# else (or with NAMESPACES=no) all are processes on 127.0.0.1. State lies in DIR (default .autosched/loopback).
set -euo pipefail

DIR=$(realpath -m "${DIR:-.autosched/loopback}")
PYTHON=${PYTHON:-python}
NODES=(head node1 node2)
NAME=${NAME:-autosched}  # of the bridge and the namespaces, at most 9 letters
NET=${NET:-10.231.7}     # the first three numbers of their addresses; both are another's for a second cluster
BRIDGE=${NAME}0
MLFLOW_PORT=${MLFLOW_PORT:-15000} POSTGRES_PORT=${POSTGRES_PORT:-15432}
GCS_PORT=${GCS_PORT:-16379} DASHBOARD_PORT=${DASHBOARD_PORT:-18265} CLIENT_PORT=${CLIENT_PORT:-10001}
STUDIES=${STUDIES:-2}      # that run at once, a worker each
WAIT_SECONDS=120

die() { echo "loopback.sh: $1" >&2; exit "${2:-1}"; }

# -- where things are -----------------------------------------------------------------------------------------------

namespaces() { [[ $(cat "$DIR/namespaces") == yes ]]; }

want_namespaces() {
  [[ ${NAMESPACES:-yes} == yes ]] || { echo no; return; }
  if ip netns add "$NAME-try" 2>/dev/null; then ip netns del "$NAME-try"; echo yes; else echo no; fi
}

address_of() {  # of a node, or of the host, where the servers run
  if ! namespaces; then echo 127.0.0.1; return; fi
  case $1 in host) echo "$NET.1" ;; head) echo "$NET.2" ;; node1) echo "$NET.3" ;; node2) echo "$NET.4" ;; esac
}

settings() {  # what every process of the cluster gets; tokens and passwords are in files that only their owner reads
  cat <<END
AUTOSCHED_LOOPBACK=$DIR
AUTOSCHED_LEDGER=postgresql://autosched@$(address_of host):$POSTGRES_PORT/autosched
PGPASSFILE=$DIR/pgpass
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN_PATH=$DIR/token
RAY_USAGE_STATS_ENABLED=0
RAY_JOB_STOP_WAIT_TIME_S=60
RAY_JOB_START_TIMEOUT_SECONDS=604800
RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=5
RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
MLFLOW_TRACKING_USERNAME=admin
MLFLOW_TRACKING_PASSWORD=$(cat "$DIR/mlflow-password")
MLFLOW_DISABLE_TELEMETRY=true
MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
PATH=$(dirname "$(command -v "$PYTHON")"):$PATH
END
}

with_settings() {
  local line
  while IFS= read -r line; do export "${line?}"; done < <(settings)
}

# -- processes ------------------------------------------------------------------------------------------------------

ours() {  # process ids of all that was started here: by environment, by session (some of Ray's lose theirs), by namespace
  local session node
  {
    env -u AUTOSCHED_LOOPBACK grep -lsxzF "AUTOSCHED_LOOPBACK=$DIR" /proc/[0-9]*/environ | cut -d / -f 3 || true
    while IFS= read -r session; do ps -o pid= -s "$session" || true; done <"$DIR/sessions"
    if [[ -e $DIR/network ]]; then  # those of another cluster are not ours
      for node in "${NODES[@]}"; do ip netns pids "$NAME-$node" 2>/dev/null || true; done
    fi
  } | tr -d ' ' | sort -u
}

begin() {  # NAME NODE COMMAND…: run in the background, in a session of its own, with a log
  local name=$1 node=$2
  shift 2
  local enter=()
  if namespaces && [[ $node != host ]]; then enter=(ip netns exec "$NAME-$node"); fi
  setsid "${enter[@]}" "$@" >"$DIR/$name.log" 2>&1 </dev/null &
  LAST=$!
  echo "$LAST" >>"$DIR/sessions"
  echo "$LAST" >"$DIR/$name.pid"
}

until_ok() {  # WHAT COMMAND…: wait until the command succeeds
  local what=$1 deadline=$((SECONDS + WAIT_SECONDS))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)) || ! kill -0 "$LAST" 2>/dev/null; then
      tail -n 5 "$DIR/$what.log" >&2 || true
      die "$what did not come up; see $DIR/$what.log."
    fi
    sleep 0.2
  done
}

# -- the network ----------------------------------------------------------------------------------------------------

make_network() {
  namespaces || return 0
  ip link add "$BRIDGE" type bridge || die "the bridge $BRIDGE is there: another cluster runs, or \`down\` was not called."
  : >"$DIR/network"  # it is ours to remove
  ip address add "$NET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  local node
  for node in "${NODES[@]}"; do
    ip netns add "$NAME-$node"
    ip link add "$NAME-${node/node/n}" type veth peer name eth0 netns "$NAME-$node"
    ip link set "$NAME-${node/node/n}" master "$BRIDGE" up
    ip -n "$NAME-$node" address add "$(address_of "$node")/24" dev eth0
    ip -n "$NAME-$node" link set eth0 up
    ip -n "$NAME-$node" link set lo up
  done
}

remove_network() {
  [[ -e $DIR/network ]] || return 0
  local node
  for node in "${NODES[@]}"; do ip netns del "$NAME-$node" 2>/dev/null || true; done
  ip link del "$BRIDGE" 2>/dev/null || true
}

# -- the parts ------------------------------------------------------------------------------------------------------

secret() { head -c 24 /dev/urandom | base64 | tr -d '+/=\n' >"$1"; chmod 600 "$1"; }

postgres_programs() {
  local found
  found=$(find /usr/lib/postgresql/*/bin -name initdb 2>/dev/null | sort -V | tail -n 1)
  found=${found:-$(command -v initdb || true)}
  [[ -n $found ]] || die "PostgreSQL is not installed here (no initdb)."
  dirname "$found"
}

AS_POSTGRES=()  # PostgreSQL refuses to run as root
if [[ $(id -u) == 0 ]]; then AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --clear-groups); fi

make_databases() {
  local bin place database
  bin=$(postgres_programs) place=$(cat "$DIR/short")/postgres
  mkdir "$place"
  cp "$DIR/postgres-password" "$place/password"
  if [[ $(id -u) == 0 ]]; then
    chmod 711 "$(dirname "$place")"
    chown -R postgres:postgres "$place"
  fi
  (cd / && "${AS_POSTGRES[@]}" "$bin/initdb" -D "$place/data" -U autosched --auth=scram-sha-256 --pwfile="$place/password") \
    >"$DIR/initdb.log"
  rm "$place/password"
  if namespaces; then
    echo "host all autosched $NET.0/24 scram-sha-256" >>"$place/data/pg_hba.conf"
  fi
  start_postgres
  for database in autosched mlflow mlflow_auth; do
    "$bin/createdb" -h "$(address_of host)" -p "$POSTGRES_PORT" -U autosched "$database"
  done
}

start_postgres() {
  local bin host place
  bin=$(postgres_programs) host=$(address_of host) place=$(cat "$DIR/short")/postgres
  begin postgres host "${AS_POSTGRES[@]}" "$bin/postgres" -D "$place/data" -h "$host" -p "$POSTGRES_PORT" -k ""
  until_ok postgres "$bin/pg_isready" -h "$host" -p "$POSTGRES_PORT"
}

start_mlflow() {
  local host port=$MLFLOW_PORT
  host=$(address_of host)
  local server="postgresql+psycopg://autosched@$host:$POSTGRES_PORT"
  cat >"$DIR/mlflow.ini" <<END
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = $server/mlflow_auth
admin_username = admin
admin_password = $(cat "$DIR/mlflow-password")
END
  chmod 600 "$DIR/mlflow.ini"
  # no argument holds an address with a password: arguments are seen by everybody on the machine
  MLFLOW_AUTH_CONFIG_PATH="$DIR/mlflow.ini" MLFLOW_FLASK_SERVER_SECRET_KEY="$(cat "$DIR/mlflow-key")" \
    MLFLOW_BACKEND_STORE_URI="$server/mlflow" \
    begin mlflow host "$PYTHON" -m mlflow server --app-name basic-auth --host "$host" --port "$port" --workers 1 \
    --allowed-hosts "$host:$port" --artifacts-destination "$DIR/artifacts"
  until_ok mlflow answers "http://$host:$port/health"
}

answers() { "$PYTHON" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1"; }

RAY_START=(--block --object-store-memory=100000000 --disable-usage-stats)

start_head() {
  local head
  head=$(address_of head)
  begin head head ray start --head --port="$GCS_PORT" --node-ip-address="$head" --dashboard-host="$head" \
    --dashboard-port="$DASHBOARD_PORT" --ray-client-server-port="$CLIENT_PORT" --num-cpus=0 \
    --resources="{\"studies\": $STUDIES}" --temp-dir="$(cat "$DIR/short")/head" --min-worker-port=20000 --max-worker-port=20999 "${RAY_START[@]}"
  until_ok head answers "http://$head:$DASHBOARD_PORT/api/gcs_healthz"
}

start_node() {
  local node=$1 first=$((20000 + 1000 * ${1#node}))  # ports of workers, each node's apart from the others'
  begin "$node" "$node" ray start --address="$(address_of head):$GCS_PORT" --node-ip-address="$(address_of "$node")" \
    --num-cpus=1 --temp-dir="$(cat "$DIR/short")/$node" \
    --min-worker-port="$first" --max-worker-port="$((first + 999))" "${RAY_START[@]}"
  until_ok "$node" grep -q "Ray runtime started" "$DIR/$node.log"
}

# -- commands -------------------------------------------------------------------------------------------------------

up() {
  [[ ! -e $DIR ]] || die "there is a cluster in $DIR already: end it with \`$0 down\`." 2
  mkdir -p "$DIR/artifacts" "$DIR/checkpoints" "$DIR/reports"
  chmod 700 "$DIR"
  want_namespaces >"$DIR/namespaces"
  : >"$DIR/sessions"
  mktemp -d /tmp/as-XXXXXX >"$DIR/short"  # a socket's path may have 107 characters; PostgreSQL's user enters it
  local file
  for file in token postgres-password mlflow-password mlflow-key; do secret "$DIR/$file"; done
  echo "*:*:*:autosched:$(cat "$DIR/postgres-password")" >"$DIR/pgpass"
  chmod 600 "$DIR/pgpass"
  trap 'end_half_begun' EXIT
  make_network
  with_settings
  make_databases
  start_mlflow
  start_head
  start_node node1  # one after another: they name their sockets in one folder
  start_node node2
  trap - EXIT
  local head
  head=$(address_of head)
  echo "Ray      http://$head:$DASHBOARD_PORT   token in $DIR/token"
  echo "MLflow   http://$(address_of host):$MLFLOW_PORT   user admin, password in $DIR/mlflow-password"
  echo "ledger   $AUTOSCHED_LEDGER   password in $DIR/pgpass"
}

end_half_begun() {  # what did not come up as a whole goes, but for its logs
  KEEP=yes
  down
  echo "loopback.sh: logs are in $DIR; remove that folder, then try again." >&2
}

submit() {
  [[ $# -ge 1 ]] || die "submit needs a space file." 2
  local space=$1
  shift
  autosched submit --space "$space" --address "http://$(address_of head):$DASHBOARD_PORT" \
    --set "storage.checkpoints=$DIR/checkpoints" --set "storage.reports=$DIR/reports" \
    --set "tracking.uri=http://$(address_of host):$MLFLOW_PORT" "$@"
}

autosched() {
  [[ -e $DIR/namespaces ]] || die "no cluster is in $DIR: start one with \`$0 up\`." 2
  with_settings
  unset AUTOSCHED_LOOPBACK  # what a person runs is not the cluster's to end
  "$PYTHON" -m autosched "$@"
}

end() {
  local part=${1:-} signal=${2:-KILL} session
  [[ -e $DIR/$part.pid ]] || die "say end head, node1, node2, mlflow or postgres." 2
  session=$(cat "$DIR/$part.pid")
  if [[ $signal == KILL ]]; then
    local left
    left=$(ps -o pid= -s "$session" || true)
    if namespaces && [[ $part == node* ]]; then left+=" $(ip netns pids "$NAME-$part")"; fi
    for left in $left; do kill -KILL "$left" 2>/dev/null || true; done
  else
    kill -s "$signal" "$session" 2>/dev/null || true  # it may have ended by itself
  fi
  until ! kill -0 "$session" 2>/dev/null; do sleep 0.1; done
}

again() {
  with_settings
  case ${1:-} in
  node1 | node2) start_node "$1" ;;
  head | mlflow | postgres) "start_$1" ;;
  *) die "say again head, node1, node2, mlflow or postgres." 2 ;;
  esac
}

down() {
  [[ -e $DIR/namespaces ]] || die "no cluster is in $DIR." 2
  unset AUTOSCHED_LOOPBACK  # this shell's own programs are none of the cluster's
  local signal deadline left
  for signal in TERM KILL; do
    deadline=$((SECONDS + 5))  # what it leaves unfinished is removed anyway
    for left in $(ours); do kill -s "$signal" "$left" 2>/dev/null || true; done
    while [[ -n $(ours) ]] && ((SECONDS < deadline)); do sleep 0.2; done
  done
  left=$(ours)
  [[ -z $left ]] || die "these processes did not end: $left"
  remove_network
  rm -rf "$(cat "$DIR/short")"
  [[ ${KEEP:-no} == yes ]] || rm -rf "$DIR"
}

case ${1:-} in
up | submit | autosched | end | again | down) "$@" ;;
*) die "say up, submit FILE, autosched ARG…, end PART, again PART, or down." 2 ;;
esac
