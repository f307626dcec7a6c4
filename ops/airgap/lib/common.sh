# Settings and small helpers of all scripts of this folder. Source it, do not run it.
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
WORK=$CACHE/work     # scratch of a build that goes on; removed when all is built
mkdir -p "$BIN" "$NODE" "$ARCHIVES" "$LOGS" "$WORK"
export PATH=$BIN:$PATH

NODE_IMAGE=kindest/node:$KUBERNETES_VERSION
DEBIAN_IMAGE=debian:$DEBIAN_SUITE-slim
GOLANG_IMAGE=golang:$GO_MINIMUM-$DEBIAN_SUITE

# say TEXT… — one line of progress, with the time
say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

# fail WHAT CAUSE MEND — what went wrong, why, and the command that mends it; exits 2
fail() {
  printf 'airgap: %s: %s; %s\n' "$1" "$2" "$3" >&2
  exit 2
}

# quietly NAME COMMAND… — output goes to a log of that name; if the command fails, its last line is shown as the cause
quietly() {
  local name=$1 log=$LOGS/$1.log
  shift
  "$@" > "$log" 2>&1 || fail "$name failed" "$(tail -n 1 "$log")" "read on: less $log"
}

# as_root COMMAND… — as root: directly, or through sudo
as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

engine_answers() { docker info >/dev/null 2>&1; }

# An engine that runs and refuses this user will not answer him later either: say so at once.
require_membership() {
  local said
  said=$(docker info 2>&1) || true
  [[ $said != *"permission denied"* ]] || fail "the Docker engine is not yours to use" \
    "this user is not in the group docker" "sudo usermod -aG docker \$USER; newgrp docker, then the same command again"
}

require_engine() {
  require_membership
  engine_answers || fail "the Docker engine does not answer" "it is not running, or this user may not use it" \
    "start it: ops/airgap/engine"
}
