# shellcheck shell=bash
# Sourced by the entry points of the servers.

# hold_volume FOLDER: acquire the lock file in FOLDER, and wait while another server holds it. The lock belongs to an open
# file descriptor, which the server inherits, so it is released when the last process of the server has exited. The successor
# of a pod that was deleted by force can therefore never write to the volume at the same time.
hold_volume() {
  trap 'exit 143' TERM INT # process 1 ignores signals without a handler
  if [[ ! -w $1 ]]; then
    echo "$1 cannot be written to by user $(id -u): mount a volume that this user owns (in Kubernetes: fsGroup)" >&2
    exit 1
  fi
  exec {held}>"$1/lock"
  if ! flock --nonblock "$held"; then
    echo "another server still holds the lock of $1: waiting until it has exited" >&2
    flock "$held" &
    wait $!
  fi
  trap - TERM INT
}
