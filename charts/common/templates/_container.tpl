{{/* Values: image {registry, repository, tag, pullPolicy}; without a tag, the chart's appVersion. */}}
{{- define "common.image" -}}
{{- with .Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Value: user (number), also the group. fsGroup lets the pod write to its volume. */}}
{{- define "common.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.user }}
runAsGroup: {{ int64 .Values.user }}
fsGroup: {{ int64 .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "common.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Environment of a container: `env` and `envFrom`. Values: settings (map of plain settings, null leaves one out), secretName (its
keys are the secret settings). Context: env. Rendered at the level of the container's fields.
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

{{/* A number as it was written: YAML makes floats of them, and 1000000 must not become 1e+06. */}}
{{- define "common.plain" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/*
The main container. Values: image, user, settings, secretName, command, args, ports (map of name to number), resources,
probes {startup, readiness, liveness} (each as in a Pod), lifecycle, extraVolumeMounts. /tmp is always writable.
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
