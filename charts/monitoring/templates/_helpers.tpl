{{/* Values of a component: its own (`key` of the values of `root`), those that all pods share, and its Service's ports. */}}
{{- define "monitoring.values" -}}
{{- $shared := pick .root.Values "image" "imagePullSecrets" "user" "extraLabels" "podAnnotations" "nodeSelector" "tolerations" "affinity" -}}
{{- $own := deepCopy (get .root.Values .key) -}}
{{- merge $own $shared (dict "service" (dict "ports" $own.ports)) | toYaml -}}
{{- end -}}

{{/* Targets with their host, as a list of {job, host, port, path, pod, podLabels, discover}, ordered by job. */}}
{{- define "monitoring.targets" -}}
{{- $targets := list -}}
{{- range $job, $target := .Values.targets -}}
{{- if $target -}}
{{- $host := $target.host | default (printf "%s-metrics" $job) -}}
{{- $targets = append $targets (merge (dict "job" $job "host" $host) $target) -}}
{{- end -}}
{{- end -}}
{{- toYaml $targets -}}
{{- end -}}

{{/* Text in which the paths of runbooks are addresses of the documentation site, if there is one. Context: root, text. */}}
{{- define "monitoring.linked" -}}
{{- with .root.Values.docsUrl -}}
{{- regexReplaceAll "docs/runbooks/([a-z-]+)\\.md" $.text (printf "%s/runbooks/${1}.html" .) -}}
{{- else -}}
{{- .text -}}
{{- end -}}
{{- end -}}

{{/* Rule files by name, as YAML of {name: text}. */}}
{{- define "monitoring.rules" -}}
{{- $files := dict -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}{{ $_ := set $files (base $path) (include "monitoring.linked" (dict "root" $ "text" ($.Files.Get $path))) }}{{ end -}}
{{- range $name, $content := .Values.extraRules }}{{ $_ := set $files $name (toYaml $content) }}{{ end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* Dashboards by the file's name, as YAML of {name: text}. */}}
{{- define "monitoring.dashboards" -}}
{{- $files := dict -}}
{{- range $path, $_ := .Files.Glob "files/dashboards/*.json" }}{{ $_ := set $files (base $path) (include "monitoring.linked" (dict "root" $ "text" ($.Files.Get $path))) }}{{ end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* prometheus.yml: the file, and a job for each target whose pods are discovered. */}}
{{- define "monitoring.config" -}}
{{- .Files.Get "files/prometheus.yml" -}}
{{- range include "monitoring.targets" . | fromYamlArray -}}
{{- if .discover }}
  - job_name: {{ .job }}
    metrics_path: {{ .path | default "/metrics" }}
    dns_sd_configs: [{names: [{{ .host }}], type: A, port: {{ .port }}}]
{{- end -}}
{{- end -}}
{{- end -}}
