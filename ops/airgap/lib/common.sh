# Settings and helper functions of all scripts in this folder. Source this file, do not run it.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

AIRGAP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=ops/airgap/versions.env
source "$AIRGAP/versions.env"

CACHE=${AIRGAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crypto-analytics/airgap}
BIN=$CACHE/bin       # programs for the user's PATH: kind, helm, helmfile, kubectl, Docker's plugins
NODE=$CACHE/node     # programs of the node image; never on PATH: the engine would take our containerd-shim for its own
ARCHIVES=$CACHE/images
LOGS=$CACHE/log
WORK=$CACHE/work     # scratch files of a build in progress; removed when all is built
mkdir -p "$BIN" "$NODE" "$ARCHIVES" "$LOGS" "$WORK"
export PATH=$BIN:$PATH

NODE_IMAGE=kindest/node:$KUBERNETES_VERSION
DEBIAN_IMAGE=debian:$DEBIAN_SUITE-slim
GOLANG_IMAGE=golang:$GO_MINIMUM-$DEBIAN_SUITE

# say TEXT… — prints one line of progress with the time
say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

# fail WHAT CAUSE FIX — prints what happened, why, and the next command to type; exits 2
fail() {
  printf 'airgap: %s: %s; %s\n' "$1" "$2" "$3" >&2
  exit 2
}

# quietly NAME COMMAND… — writes the output to a log of that name; on failure, its last line is the printed cause
quietly() {
  local name=$1 log=$LOGS/$1.log
  shift
  "$@" > "$log" 2>&1 || fail "$name failed" "$(tail -n 1 "$log")" "read on: less $log"
}

# as_root COMMAND… — runs the command as root, through sudo if necessary
as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

engine_answers() { docker info >/dev/null 2>&1; }

# Fails at once where the engine refuses this user: waiting for it would not help.
require_membership() {
  local said
  said=$(docker info 2>&1) || true
  [[ $said != *"permission denied"* ]] || fail "the Docker engine refuses this user" \
    "this user is not in the group docker" "sudo usermod -aG docker \$USER; newgrp docker, then the same command again"
}

require_engine() {
  require_membership
  engine_answers || fail "the Docker engine does not answer" "it is not running, or this user may not use it" \
    "start it: ops/airgap/engine"
}
