{{/* Reference of the image. Values: image {registry, repository, tag}; an empty tag means the chart's appVersion. */}}
{{- define "common.image" -}}
{{- with .Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Security context of a pod. Values: user, the number of user and group; fsGroup makes volumes writable for it. */}}
{{- define "common.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.user }}
runAsGroup: {{ int64 .Values.user }}
fsGroup: {{ int64 .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Security context of a container, as the Pod Security Standard `restricted` requires it, with a read-only root. */}}
{{- define "common.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Fields `env` and `envFrom` of a container. Values: settings (map of settings that are not secret; null removes one),
secretName (the Secret whose keys are the secret settings). Context: env.
*/}}
{{- define "common.environment" -}}
{{- $settings := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $settings $name $value }}{{ end -}}
{{- end -}}
{{- if or $settings (get . "env") }}
env:
  {{- range $name, $value := $settings }}
  - name: {{ $name }}
    value: {{ include "common.plain" $value | quote }}
  {{- end }}
  {{- with get . "env" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.secretName }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end -}}

{{/* A setting as text. Helm reads integers as floats, and 1000000 must not be rendered as 1e+06. */}}
{{- define "common.plain" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/*
The main container of a pod, with a writable /tmp. Values: image, user, settings, secretName, command, args, ports (map of name to number), resources,
probes {startup, readiness, liveness} (each as in a container), lifecycle, extraVolumeMounts.
*/}}
{{- define "common.container" -}}
- name: {{ include "common.name" . }}
  image: {{ include "common.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- with get . "command" | default .Values.command }}
  command: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with get . "args" | default .Values.args }}
  args: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "common.environment" . }}
  {{- trim . | nindent 2 }}
  {{- end }}
  {{- with .Values.ports }}
  ports:
    {{- range $name, $port := . }}
    - name: {{ $name }}
      containerPort: {{ $port }}
    {{- end }}
  {{- end }}
  {{- range $kind, $probe := .Values.probes }}
  {{- with $probe }}
  {{ $kind }}Probe: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.lifecycle }}
  lifecycle: {{- toYaml . | nindent 4 }}
  {{- end }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext: {{- include "common.containerSecurityContext" . | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with .Values.persistence }}
    - name: data
      mountPath: {{ .mountPath }}
    {{- end }}
    {{- with get . "volumeMounts" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
