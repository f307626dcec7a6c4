# For the release workflow, after docker-bake.hcl. Its builder does not share the engine's images, so the base images are build
# contexts here, and all is built in one step. Each image gets its provenance and the list of its packages (SBOM).
#   docker buildx bake --file images/docker-bake.hcl --file images/release.hcl --push
target "_release" {
  contexts = merge(
    { for name in ["python", "uv", "services", "jdk"] : "crypto-analytics/${name}:base" => "target:${name}" },
    {
      for name in ["airflow", "api", "backfill", "dbt", "exporter", "ge", "npm", "simulator", "tools"] :
      "crypto-analytics/${name}-packages:base" => "target:${name}-packages"
    }
  )
  attest = ["type=provenance,mode=max", "type=sbom"]
}
