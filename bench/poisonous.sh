#!/usr/bin/env bash
# Measures one poisonous key: all of queries/ over generated events, as they are and with half of them
# given to one shopper, a bot, in turns. Prints the time of both and their ratio.
#   bench/poisonous.sh [EVENTS] [ROUNDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-1000000}" rounds="${2:-5}"
build_tidewheel
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$tidewheel" simulate -n "$events" --per-second 1000 --shoppers 10000 --disorder 2000 --quiet --out "$folder/spread.jsonl"
python3 - "$folder/spread.jsonl" >"$folder/bot.jsonl" <<'PYTHON'
import re, sys
# The same events, so the same work but for whose they are.
bot = re.compile(rb'"(user_id|domain_userid|sessionId)":"[^"]*"')
with open(sys.argv[1], "rb") as lines:
    for number, line in enumerate(lines):
        if number % 2:
            line = bot.sub(rb'"\1":"bot"', line)
        sys.stdout.buffer.write(line)
PYTHON
bots=$(grep -c '"bot"' "$folder/bot.jsonl")
seconds() {
  local begin
  begin=$(date +%s.%N)
  BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" run queries --from "file:$folder/$1.jsonl" --into blackhole: --quiet
  echo "$(date +%s.%N) - $begin" | bc
}
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
for _ in $(seq "$rounds"); do
  for name in spread bot; do seconds "$name" >>"$folder/$name.times"; done
done
spread=$(median <"$folder/spread.times") bot=$(median <"$folder/bot.times")
printf '%d events, %d of them of one key: %.2f s; spread over all keys: %.2f s; ratio %.2f\n' \
  "$events" "$bots" "$bot" "$spread" "$(echo "$bot / $spread" | bc -l)"
