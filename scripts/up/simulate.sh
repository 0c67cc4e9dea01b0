# shellcheck shell=bash disable=SC2034,SC2154
# No shop and no server: simulated shoppers write events into an embedded log, all of queries/ runs
# over it into an embedded store, and the features are shown as they change. Sourced by up.sh.

simulate_shoppers() {
  local rate=200 shoppers=300 seconds=()
  # Not local: the trap at the end of all reads them when this function is left.
  folder="" tidewheel="" pids=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --rate) rate="$2" ;;
      --shoppers) shoppers="$2" ;;
      --seconds) seconds=(--seconds "$2") ;;
    esac
    shift 2
  done
  build_tidewheel
  folder="${TIDEWHEEL_DATA:-$PWD/.tidewheel}/demo"
  rm -rf "$folder"
  mkdir -p "$folder"
  # shellcheck disable=SC2317,SC2329 # called by the traps
  stop() {
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    say "stopped; what was computed stands in $folder/store: $(printf '%q features %q' "$tidewheel" "$folder/store")"
  }
  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  "$tidewheel" simulate --rate "$rate" --shoppers "$shoppers" --disorder 800 --repeats 0.01 \
    --broken 0.002 --out "log:$folder/log" 2>"$folder/simulate.txt" &
  pids+=($!)
  BAD_EVENTS="$folder/bad_events.jsonl" "$tidewheel" run queries --from "log:$folder/log" \
    --into "store:$folder/store" --quiet 2>"$folder/run.txt" &
  pids+=($!)

  # The store appears with the first value.
  local names=(simulate run) at
  for _ in $(seq 100); do
    [ -d "$folder/store" ] && break
    for at in 0 1; do
      kill -0 "${pids[$at]}" 2>/dev/null && continue
      tail -n 20 "$folder/${names[$at]}.txt" >&2
      fail "tidewheel ${names[$at]} ended"
    done
    sleep 0.1
  done
  "$tidewheel" features "$folder/store" --watch "${seconds[@]}"
}
