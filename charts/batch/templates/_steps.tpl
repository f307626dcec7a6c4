{{/*
The steps, in order, as in services/crypto_analytics/batch/steps.py: a test holds the two together.
component: whose image, settings, Secret and resources (values components.<component>).
*/}}
{{- define "batch.steps" -}}
- name: backfill-recent
  component: backfill
  command: [python, -m, crypto_analytics.backfill]
- name: dbt-silver
  component: dbt
  command: [dbt, run, --select, "tag:silver", --project-dir, dbt, --profiles-dir, dbt, --no-use-colors]
- name: dbt-test-silver
  component: dbt
  command: [dbt, test, --select, "tag:silver,test_type:data", --project-dir, dbt, --profiles-dir, dbt, --no-use-colors]
- name: ge-validate
  component: ge
  command: [python, -m, ge]
- name: dbt-gold
  component: dbt
  command: [dbt, run, --select, "tag:gold", --project-dir, dbt, --profiles-dir, dbt, --no-use-colors]
- name: dbt-test-gold
  component: dbt
  command: [dbt, test, --select, "tag:gold,test_type:data", --project-dir, dbt, --profiles-dir, dbt, --no-use-colors]
- name: export-lake
  component: exporter
  command: [python, -m, crypto_analytics.exporter]
{{- end -}}

{{/* Context of a step for the library's templates, as YAML: values of its component over those of the pod. */}}
{{- define "batch.values" -}}
{{- $component := deepCopy (index .Values.components .component) -}}
{{- $settings := mergeOverwrite (deepCopy .Values.settings) ($component.settings | default dict) -}}
{{- $image := mergeOverwrite (deepCopy .Values.image) $component.image -}}
{{- $own := dict "image" $image "settings" $settings "secretName" $component.secretName "resources" $component.resources -}}
{{- $pod := pick .Values "user" "imagePullSecrets" "tmpSize" "extraLabels" "podAnnotations" "nodeSelector" "tolerations" "affinity" "extraVolumes" "extraVolumeMounts" -}}
{{- merge $own $pod | toYaml -}}
{{- end -}}
