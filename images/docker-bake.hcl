# Builds all images, from the top of the checkout. In two steps, because the images of the second start FROM those of the first:
#   docker buildx bake --file images/docker-bake.hcl base packages
#   docker buildx bake --file images/docker-bake.hcl
# `make images` does both and tags by content. An environment variable of the same name sets a variable.

variable "IMAGE_REGISTRY" { default = "" } # with its path, such as registry.example.com/team
variable "TAG" { default = "0.1.0" }
variable "SOURCE" { default = "" }   # address of the project's source, for the labels
variable "REVISION" { default = "" } # its commit, for the labels; a new value makes a new image

# Base images and package registries. Empty means the default of pip, uv, npm and Go.
variable "DEBIAN_IMAGE" { default = "debian:bookworm-slim" }
variable "GOLANG_IMAGE" { default = "golang:1.26-bookworm" }
variable "PIP_INDEX_URL" { default = "" }
variable "MAVEN_MIRROR" { default = "https://repo.maven.apache.org/maven2" }
variable "NPM_REGISTRY" { default = "" }
variable "GOPROXY" { default = "" }
variable "GOSUMDB" { default = "" }

function "image" {
  params = [name]
  result = "${IMAGE_REGISTRY == "" ? "" : "${trimsuffix(IMAGE_REGISTRY, "/")}/"}crypto-analytics/${name}:${TAG}"
}

group "base" { targets = ["python", "uv", "services", "jdk"] }
group "default" { targets = ["image"] }

target "_common" {
  labels = {
    "org.opencontainers.image.version"  = TAG
    "org.opencontainers.image.source"   = SOURCE
    "org.opencontainers.image.revision" = REVISION
  }
  args = {
    DEBIAN_IMAGE  = DEBIAN_IMAGE
    PIP_INDEX_URL = PIP_INDEX_URL
  }
}

target "base" {
  inherits   = ["_common"]
  name       = name
  matrix     = { name = ["python", "uv", "services", "jdk"] }
  dockerfile = "images/base/Dockerfile"
  target     = name
  tags       = ["crypto-analytics/${name}:base"]
}

# The packages of each image that has a lock file of its own, on the base image `start`.
target "packages" {
  inherits = ["_common"]
  name     = "${item.image}-packages"
  matrix = {
    item = [
      { image = "airflow", start = "python", lock = "requirements/airflow.txt" },
      { image = "api", start = "services", lock = "requirements/images/api.txt" },
      { image = "dbt", start = "python", lock = "requirements/dbt.txt" },
      { image = "ge", start = "python", lock = "requirements/ge.txt" },
      { image = "backfill", start = "services", lock = "requirements/images/backfill.txt" },
      { image = "exporter", start = "services", lock = "requirements/images/exporter.txt" },
      { image = "npm", start = "python", lock = "requirements/images/npm.txt" },
      { image = "simulator", start = "python", lock = "requirements/images/simulator.txt" },
      { image = "tools", start = "services", lock = "requirements/images/tools.txt" },
    ]
  }
  dockerfile = "images/base/Dockerfile"
  target     = "packages"
  tags       = ["crypto-analytics/${item.image}-packages:base"]
  args = {
    START = item.start
    LOCK  = item.lock
  }
}

target "_release" {} # filled by release.hcl

target "image" {
  inherits = ["_common", "_release"]
  name     = name
  matrix = {
    name = [
      "airflow", "api", "backfill", "consumer", "dbt", "engineproxy", "exporter", "ge", "kafka", "minio", "monitoring",
      "postgres", "producer", "publisher", "simulator", "spark", "superset", "tools", "versitygw",
    ]
  }
  dockerfile = "images/${name}/Dockerfile"
  tags       = [image(name)]
  args = {
    PYTHON_IMAGE   = "crypto-analytics/python:base"
    UV_IMAGE       = "crypto-analytics/uv:base"
    SERVICES_IMAGE = "crypto-analytics/services:base"
    PACKAGES_IMAGE = "crypto-analytics/${name}-packages:base"
    DBT_IMAGE      = "crypto-analytics/dbt-packages:base"
    NPM_IMAGE      = "crypto-analytics/npm-packages:base"
    JDK_IMAGE      = "crypto-analytics/jdk:base"
    GOLANG_IMAGE   = GOLANG_IMAGE
    NPM_REGISTRY   = NPM_REGISTRY
    GOPROXY        = GOPROXY
    GOSUMDB        = GOSUMDB
    MAVEN_MIRROR   = MAVEN_MIRROR
  }
}
