#!/usr/bin/env bash
# Runs all tests: installs what they need (Redis from apt, Kafka from Maven Central), starts it,
# stops it. Arguments go to `cargo test`, for example: ./test.sh -p tidewheel-kernel
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/common.sh

need_build_tools
need_packages redis-server openssl
tests/services/kafka.sh install
export TIDEWHEEL_SERVICES=1

cargo fmt --all --check || fail "the code is not formatted; run: cargo fmt --all"
if [ $# -gt 0 ]; then
  cargo test --release "$@"
else
  cargo test --release --workspace
fi
