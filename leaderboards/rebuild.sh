#!/usr/bin/env bash
# Runs every system of the package on all board tasks, submits the results and builds the boards.
#
#     export CLIR_BENCH_DATA=...
#     leaderboards/rebuild.sh RESULTS
#
# RESULTS is a folder for the full runs (about 5 GB); what is there already is not run again. An hour
# and a half on two CPU cores.
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:?name a folder for the full runs}
systems=(hashing all-minilm-l6-v2 optical optical-pooled)

models=()
for system in "${systems[@]}"; do
    models+=(--model "${system/-pooled/:#pooled}")
done
run() {
    clir-bench run "${models[@]}" --output "$results" "$@"
}
# Only the pairs that boards show.
run --task xquad --task afriqa
run --task tatoeba --task mtop-translation --task mtop-intent --pairs '*-en'
run --task xquad-r --pairs '*-en,*-mul'

for system in "${systems[@]}"; do
    clir-bench submit "$results/$system" --card "leaderboards/results/$system/system.toml" --overwrite
done
clir-bench validate leaderboards/results
clir-bench leaderboard build
