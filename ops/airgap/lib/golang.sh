# Compiles programs from the Go module proxy, each once per version. Source this file after common.sh.
# shellcheck shell=bash

# Sources and objects take 15 GB, in folders of their own that ops/airgap/build removes at its end.
export GOMODCACHE=$WORK/gomod GOCACHE=$WORK/gobuild
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -modcacherw -buildvcs=false"

# have FOLDER NAME VERSION — succeeds if the folder holds the program in that version
have() { [[ -x $1/$2 && $(cat "$1/.$2.version" 2>/dev/null) == "$3" ]]; }

# install_program FILE FOLDER NAME VERSION — moves a program into the folder, then writes its version beside it
install_program() {
  rm -f "$2/.$3.version"
  mv "$1" "$2/$3"
  echo "$4" > "$2/.$3.version"
}

# module_source MODULE VERSION — downloads a module and prints its folder; changes the working directory to /
module_source() {
  cd / || exit
  quietly "download-$(basename "$1")" go mod download "$1@$2"
  go list -m -f '{{.Dir}}' "$1@$2"
}

# local_replacements — prints the modules that this folder's go.mod replaces by a folder of the same repository
local_replacements() {
  go mod edit -json | python3 -c '
import json, sys
for entry in json.load(sys.stdin).get("Replace") or []:
    if entry["New"]["Path"].startswith("."):
        print(entry["Old"]["Path"])'
}

# compile FOLDER MODULE VERSION LDFLAGS NAME=PACKAGE… — builds the programs into the folder, unless it holds them.
# Several programs are built by one command, which compiles shared packages once and links while it compiles; each
# name must be the last element of its package, because go build names the programs so.
#
# The module is built in a copy, as the main module, so that its own replace and exclude directives apply. Directives
# that point into the module's own repository cannot apply in a copy: they are replaced by published modules, in the
# version that go.mod requires, or in $PUBLISHED_AS where it requires none (v0.0.0). The function $PREPARE, if set, may
# change the copy.
compile() {
  local folder=$1 module=$2 version=$3 ldflags=$4 program replaced missing=0 source origin
  shift 4
  for program in "$@"; do have "$folder" "${program%%=*}" "$version" || missing=1; done
  ((missing)) || return 0
  say "compiling ${*%%=*} $version"
  source=$WORK/src-${1%%=*}
  origin=$(module_source "$module" "$version")
  rm -rf "$source"
  mkdir -p "$source/.built"
  cp -r "$origin/." "$source"
  chmod -R u+w "$source"
  (
    cd "$source" || exit
    for replaced in $(local_replacements); do
      if [[ -n ${PUBLISHED_AS:-} ]]; then
        go mod edit -replace "$replaced=$replaced@$PUBLISHED_AS"
      else
        go mod edit -dropreplace "$replaced"
      fi
    done
    [[ -z ${PREPARE:-} ]] || "$PREPARE"
    if (($# == 1)); then
      quietly "${1%%=*}" go build -ldflags "-s -w $ldflags" -o ".built/${1%%=*}" "${1#*=}"
    else
      quietly "${1%%=*}" go build -ldflags "-s -w $ldflags" -o .built/ "${@#*=}"
    fi
  )
  for program in "${@%%=*}"; do install_program "$source/.built/$program" "$folder" "$program" "$version"; done
  rm -rf "$source"
}
