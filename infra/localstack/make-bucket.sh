#!/usr/bin/env bash
# Run by LocalStack when it is ready: makes the bucket that checkpoints go to, once.
#
# LocalStack's free edition forgets all objects when it stops. So they are copied to its volume while
# it runs, and put back at the start. A copy may be a few seconds old: then what the newest checkpoint
# lacks is read from Kafka again. Tidewheel tells a torn copy by its checksums and takes the one before.
set -euo pipefail
bucket=${CHECKPOINT_BUCKET:?set CHECKPOINT_BUCKET}
copy=${CHECKPOINT_COPY:?set CHECKPOINT_COPY}
ready=${CHECKPOINT_READY:?set CHECKPOINT_READY}

rm -f "$ready"
mkdir -p "$copy"
awslocal s3api head-bucket --bucket "$bucket" 2>/dev/null || awslocal s3api create-bucket --bucket "$bucket"
awslocal s3 sync --only-show-errors "$copy" "s3://$bucket"
keep() {
  while sleep "${CHECKPOINT_COPY_SECONDS:-5}" && [ -e "$ready" ]; do
    awslocal s3 sync --only-show-errors --delete "s3://$bucket" "$copy" || true
  done
}
export -f keep
export bucket copy ready
touch "$ready"
setsid nohup bash -c keep >/dev/null 2>&1 </dev/null &
