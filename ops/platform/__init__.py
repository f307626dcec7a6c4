"""What Kubernetes and Compose share: images, endpoints, health, freshness, Airflow's API, the remembered state."""
