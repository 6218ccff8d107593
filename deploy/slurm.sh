#!/usr/bin/env bash
# One study on a Slurm allocation: `sbatch deploy/slurm.sh wsd.yaml [ARG…]`. Submit it again to go on where it was.
#SBATCH --job-name=autosched
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
# AUTOSCHED_LEDGER must name a PostgreSQL server: SQLite's locks do not hold on network file systems.
set -euo pipefail
: "${1:?say which space: sbatch deploy/slurm.sh wsd.yaml}" "${AUTOSCHED_LEDGER:?set it to a PostgreSQL URL}"
space=$1
shift
shared=${SHARED:-$SLURM_SUBMIT_DIR/.autosched}
mkdir -p "$shared"

umask 077
token=$(mktemp "$shared/token-XXXXXX") # a token of this allocation's own
head -c 24 /dev/urandom | base64 | tr -d '+/=\n' >"$token"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token RAY_USAGE_STATS_ENABLED=0

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]} port=$((20000 + SLURM_JOB_ID % 10000))
ray=(ray start --block --disable-usage-stats --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")

srun --nodes=1 --ntasks=1 --overlap -w "$head" "${ray[@]}" --head --node-ip-address="$head" --port="$port" \
  --include-dashboard=false &
started=($!)
if ((${#nodes[@]} > 1)); then
  others=$(IFS=, && echo "${nodes[*]:1}")
  srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --overlap -w "$others" "${ray[@]}" \
    --address="$head:$port" &
  started+=($!)
fi
# shellcheck disable=SC2329  # the trap calls it
finish() {
  kill "${started[@]}" 2>/dev/null || true
  wait "${started[@]}" 2>/dev/null || true
  rm -f "$token"
}
trap finish EXIT
until ray health-check --address "$head:$port" >/dev/null 2>&1; do sleep 1; done

# Told to stop 120 s before the end of its time, the driver puts everything away; a requeued job goes on.
srun --nodes=1 --ntasks=1 --overlap -w "$head" python -m autosched.study.supervisor -- tune --space "$space" --resume \
  --address "$head:$port" --workers "${#nodes[@]}" --set "storage.checkpoints=$shared/checkpoints" \
  --set "storage.reports=$shared/reports" "$@" &
driver=$!
trap 'kill -TERM "$driver" 2>/dev/null || true' TERM
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2>/dev/null; do wait "$driver" || code=$?; done
exit "$code"
