{{/*
The steps in their order; a test checks that they equal services/crypto_analytics/batch/step_definitions.py. component: the entry
of values components with image, settings, Secret and resources. timeout: time limit of one try, in seconds. Each container runs its step
by name and holds the batch's lock while it runs (services/crypto_analytics/batch/step.py).
*/}}
{{- define "batch.steps" -}}
- name: backfill-recent
  component: backfill
  timeout: 600
- name: dbt-silver
  component: dbt
  timeout: 600
- name: dbt-test-silver
  component: dbt
  timeout: 600
- name: ge-validate
  component: ge
  timeout: 300
- name: dbt-gold
  component: dbt
  timeout: 600
- name: dbt-test-gold
  component: dbt
  timeout: 600
- name: export-lake
  component: exporter
  timeout: 900
{{- end -}}

{{/* Values of a component for the library's templates, as YAML: those of the component overwrite those of the chart. */}}
{{- define "batch.values" -}}
{{- $component := deepCopy (index .Values.components .component) -}}
{{- $settings := mergeOverwrite (deepCopy .Values.settings) ($component.settings | default dict) -}}
{{- $image := mergeOverwrite (deepCopy .Values.image) $component.image -}}
{{- $own := dict "image" $image "settings" $settings "secretName" $component.secretName "resources" $component.resources -}}
{{- $pod := pick .Values "user" "imagePullSecrets" "tmpSize" "extraLabels" "podAnnotations" "nodeSelector" "tolerations" "affinity" "extraVolumes" "extraVolumeMounts" -}}
{{- merge $own $pod | toYaml -}}
{{- end -}}

{{/* Pod of a step. Context keys: Chart, Release, Values (the chart's), step (an entry of batch.steps). */}}
{{- define "batch.pod" -}}
{{- $values := include "batch.values" (dict "Values" .Values "component" .step.component) | fromYaml -}}
{{- $its := dict "Chart" .Chart "Release" .Release "Values" $values -}}
{{- $container := include "common.container" (merge (dict "component" .step.name "command" (list "python" "-m" "crypto_analytics.batch.step" (.step.name | replace "-" "_"))) $its) | fromYamlArray -}}
{{- $template := include "common.podTemplate" (merge (dict "restartPolicy" "Never" "containers" $container) $its) | fromYaml -}}
apiVersion: v1
kind: Pod
metadata: {{- merge (dict "namespace" .Release.Namespace) $template.metadata | toYaml | nindent 2 }}
spec: {{- merge (dict "activeDeadlineSeconds" .step.timeout) $template.spec | toYaml | nindent 2 }}
{{- end -}}
