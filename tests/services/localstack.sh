#!/usr/bin/env bash
# LocalStack's hook against another S3 server that forgets everything when it ends, too: what was in the
# bucket is there again after a restart, and objects that were removed stay away.
#
#   localstack.sh
#
# The AWS command line comes from PyPI where it is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/common.sh

work=$(mktemp -d)
tools=${TIDEWHEEL_CACHE:-$HOME/.cache/tidewheel}/awscli
if ! aws --version >/dev/null 2>&1; then
  if [ ! -f "$tools/complete" ]; then
    need_packages python3-venv
    python3 -m venv "$tools"
    "$tools/bin/pip" install -q awscli
    touch "$tools/complete"
  fi
  PATH="$tools/bin:$PATH"
fi
stop() {
  rm -f "$work/ready"
  tests/services/s3.sh kill "$work/s3"
  rm -rf "$work"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$work/bin"
cat >"$work/bin/awslocal" <<SHIM
#!/usr/bin/env bash
exec aws --endpoint-url http://127.0.0.1:$port "\$@"
SHIM
chmod +x "$work/bin/awslocal"
export PATH="$work/bin:$PATH" AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export CHECKPOINT_BUCKET=tidewheel-checkpoints CHECKPOINT_COPY="$work/copy" CHECKPOINT_READY="$work/ready" CHECKPOINT_COPY_SECONDS=1

# Waits until a command succeeds.
until_so() {
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  fail "it did not come: $*"
}
held() { awslocal s3 cp --only-show-errors "s3://$CHECKPOINT_BUCKET/$1" -; }

tests/services/s3.sh start "$port" "$work/s3"
infra/localstack/make-bucket.sh
[ -e "$work/ready" ] || fail "it does not say that it is ready"
echo one >"$work/one"; echo two >"$work/two"
for name in one two; do awslocal s3 cp --only-show-errors "$work/$name" "s3://$CHECKPOINT_BUCKET/demo/manifest-$name"; done
until_so test -s "$work/copy/demo/manifest-two"
awslocal s3 rm --only-show-errors "s3://$CHECKPOINT_BUCKET/demo/manifest-two"
until_so test ! -e "$work/copy/demo/manifest-two"

# It ends as a container does: all at once.
rm -f "$work/ready"
tests/services/s3.sh kill "$work/s3"
tests/services/s3.sh start "$port" "$work/s3"
! held demo/manifest-one >/dev/null 2>&1 || fail "the server did not forget: this shows nothing"
infra/localstack/make-bucket.sh
[ "$(held demo/manifest-one)" = one ] || fail "what was in the bucket is lost"
! held demo/manifest-two >/dev/null 2>&1 || fail "what was removed is back"
echo "the bucket is as it was"
