{{/*
Pod template of a Deployment, StatefulSet or Job (metadata and spec). Values beside those of common.container:
imagePullSecrets, extraVolumes, tmpSize, terminationGracePeriodSeconds, podAnnotations, nodeSelector, tolerations,
affinity, topologySpread (list of {topologyKey, maxSkew, whenUnsatisfiable}; the pods' own selector is added).
A Job's restartPolicy is a context key.

Service links are disabled: a Service named postgres would set POSTGRES_PORT=tcp://... in every pod, and POSTGRES_PORT is a
setting of the services.
*/}}
{{- define "common.podTemplate" -}}
metadata:
  labels: {{- include "common.podLabels" . | nindent 4 }}
  {{- $annotations := include "common.podAnnotations" . }}
  {{- if $annotations }}
  annotations: {{- $annotations | nindent 4 }}
  {{- end }}
spec:
  {{- include "common.podSpec" . | nindent 2 }}
{{- end -}}

{{/* Spec of a pod. Values: those of common.podTemplate. */}}
{{- define "common.podSpec" -}}
serviceAccountName: {{ .Chart.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with get . "restartPolicy" }}
restartPolicy: {{ . }}
{{- end }}
{{- with .Values.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext: {{- include "common.podSecurityContext" . | nindent 2 }}
{{- with get . "initContainers" }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  {{- with get . "containers" }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- include "common.container" . | nindent 2 }}
  {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ .Values.tmpSize | default "64Mi" }}
  {{- with get . "volumes" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "common.scheduling" . }}
{{- end -}}

{{/* Scheduling fields of a pod. Values: nodeSelector, tolerations, affinity, topologySpread. */}}
{{- define "common.scheduling" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.topologySpread }}
topologySpreadConstraints:
  {{- $selector := include "common.selector" . }}
  {{- range .Values.topologySpread }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ .maxSkew | default 1 }}
    whenUnsatisfiable: {{ .whenUnsatisfiable | default "ScheduleAnyway" }}
    labelSelector:
      matchLabels: {{- $selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/*
Annotations of pods, with checksums of the context's `config` and of the Secret secretName, so that a change of either
restarts the pods. The Secret is looked up in the cluster, so `helm template` omits its annotation.
*/}}
{{- define "common.podAnnotations" -}}
{{- $annotations := dict -}}
{{- with get . "config" }}{{ $_ := set $annotations "checksum/config" (sha256sum .) }}{{ end -}}
{{- with .Values.secretName -}}
{{- with lookup "v1" "Secret" $.Release.Namespace . -}}
{{- $_ := set $annotations "checksum/secret" (toJson .data | sha256sum) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.podAnnotations }}{{ $_ := set $annotations $name $value }}{{ end -}}
{{- if $annotations }}{{ toYaml $annotations }}{{ end -}}
{{- end -}}
