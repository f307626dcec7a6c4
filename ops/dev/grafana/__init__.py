"""The Grafana dashboards: their contents as data, and the programs that write them as JSON and as pages of docs/."""
