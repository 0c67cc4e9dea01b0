#!/usr/bin/env bash
# Run by LocalStack when it is ready: makes the bucket that checkpoints go to, once.
set -euo pipefail
bucket=${CHECKPOINT_BUCKET:?set CHECKPOINT_BUCKET}
awslocal s3api head-bucket --bucket "$bucket" 2>/dev/null || awslocal s3api create-bucket --bucket "$bucket"
