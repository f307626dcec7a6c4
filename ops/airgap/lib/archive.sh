# Builds images once per recipe. They are kept in the engine under their public names, and as archives in the cache, from
# which an engine that lost its images loads them in seconds. Source this file after common.sh.
# shellcheck shell=bash

RECIPE_LABEL=crypto-analytics.airgap.recipe

# recipe TEXT FILE… — prints 12 hex digits of a hash of the text and the files (of a folder: all files in it)
recipe() {
  local text=$1
  shift
  { printf '%s\n' "$text"; find "$@" -type f | LC_ALL=C sort | xargs cat; } | sha256sum | cut -c1-12
}

image_recipe() { docker image inspect --format "{{index .Config.Labels \"$RECIPE_LABEL\"}}" "$1" 2>/dev/null; }

archive_of() { printf '%s/%s-%s.tar.zst' "$ARCHIVES" "$(tr ':/' '--' <<<"$1")" "$2"; }

# provide IMAGE RECIPE BUILDER — makes sure that the image is in the engine and in the cache.
# An image without our label was pulled or built by the user: it is used as it is, and not archived.
provide() {
  local image=$1 recipe=$2 builder=$3 archive found
  archive=$(archive_of "$image" "$recipe")
  if docker image inspect "$image" >/dev/null 2>&1; then
    found=$(image_recipe "$image")
    if [[ -z $found ]]; then
      say "$image exists already, and was not built by airgap: left as it is"
      return
    fi
  fi
  if [[ ${found:-} != "$recipe" ]]; then
    if [[ -f $archive ]]; then
      say "loading $image from the cache"
      zstd -qdc "$archive" | docker load -q >/dev/null
    else
      say "building $image"
      "$builder" "$recipe"
    fi
  fi
  if [[ ! -f $archive ]]; then
    say "archiving $image"
    docker save "$image" | zstd -q -T0 -3 -f -o "$archive.part"
    find "$ARCHIVES" -name "$(basename "$archive" "-$recipe.tar.zst")-*.tar.zst" -delete   # of older recipes
    mv "$archive.part" "$archive"
  fi
}
