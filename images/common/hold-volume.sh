# shellcheck shell=bash
# Sourced by the servers' entrypoints.

# hold_volume FOLDER: take the lock in FOLDER, and wait for it while another server has it. The lock belongs to an open
# file, which the server inherits: it is free again when the last process of the server is gone, and not a moment before.
# So the successor of a pod deleted by force can never write beside it.
hold_volume() {
  trap 'exit 143' TERM INT # the shell is process 1, which ignores a signal that it has no handler for
  if [[ ! -w $1 ]]; then
    echo "$1 cannot be written to by user $(id -u): mount a volume that this user owns (in Kubernetes: fsGroup)" >&2
    exit 1
  fi
  exec {held}>"$1/lock"
  if ! flock --nonblock "$held"; then
    echo "another server still has $1: waiting until it is gone" >&2
    flock "$held" &
    wait $!
  fi
  trap - TERM INT
}
