# Builds all images, from the top of the checkout. Two steps, because the second starts FROM the images of the first:
#   docker buildx bake --file images/docker-bake.hcl base
#   docker buildx bake --file images/docker-bake.hcl
# `make images` does both and tags by content. Each variable is set by an environment variable of its name.

variable "IMAGE_REGISTRY" { default = "" } # a prefix: registry.example.com/team
variable "TAG" { default = "0.1.0" }
variable "SOURCE" { default = "" }   # where the project's source is, for the images' labels
variable "REVISION" { default = "" } # its commit; a new value makes a new image

# Where things come from. Empty for pip, uv and Go: where they look by themselves.
variable "DEBIAN_IMAGE" { default = "debian:bookworm-slim" }
variable "GOLANG_IMAGE" { default = "golang:1.26-bookworm" }
variable "PIP_INDEX_URL" { default = "" }
variable "MAVEN_MIRROR" { default = "https://repo.maven.apache.org/maven2" }
variable "GOPROXY" { default = "" }
variable "GOSUMDB" { default = "" }

function "image" {
  params = [name]
  result = "${IMAGE_REGISTRY == "" ? "" : "${trimsuffix(IMAGE_REGISTRY, "/")}/"}crypto-analytics/${name}:${TAG}"
}

group "base" { targets = ["python", "uv", "services"] }
group "default" { targets = ["image"] }

target "_common" {
  labels = {
    "org.opencontainers.image.version"  = TAG
    "org.opencontainers.image.source"   = SOURCE
    "org.opencontainers.image.revision" = REVISION
  }
  args = {
    DEBIAN_IMAGE   = DEBIAN_IMAGE
    PIP_INDEX_URL  = PIP_INDEX_URL
  }
}

target "base" {
  inherits   = ["_common"]
  name       = name
  matrix     = { name = ["python", "uv", "services"] }
  dockerfile = "images/python/Dockerfile"
  target     = name
  tags       = ["crypto-analytics/${name}:base"]
}

target "image" {
  inherits = ["_common"]
  name     = name
  matrix = {
    name = [
      "airflow", "backfill", "consumer", "dbt", "exporter", "ge", "kafka", "minio", "postgres", "producer",
      "simulator", "spark", "superset", "tools",
    ]
  }
  dockerfile = "images/${name}/Dockerfile"
  tags       = [image(name)]
  args = {
    PYTHON_IMAGE   = "crypto-analytics/python:base"
    UV_IMAGE       = "crypto-analytics/uv:base"
    SERVICES_IMAGE = "crypto-analytics/services:base"
    GOLANG_IMAGE   = GOLANG_IMAGE
    GOPROXY        = GOPROXY
    GOSUMDB        = GOSUMDB
    MAVEN_MIRROR   = MAVEN_MIRROR
  }
}
