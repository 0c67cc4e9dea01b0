#!/usr/bin/env bash
# Ends well if a path on a port of this container answers 200: healthy PORT PATH. The image has no
# other HTTP client.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
read -r -t 2 status <&3
[[ "$status" == HTTP/1.?\ 200* ]]
