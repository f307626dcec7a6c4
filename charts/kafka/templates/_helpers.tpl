{{/* Topics, users and ACLs: files/access.yaml. */}}
{{- define "kafka.access" -}}
{{ .Files.Get "files/access.yaml" }}
{{- end -}}

{{/* Pods that may connect to the clients' listener, as NetworkPolicy peers. */}}
{{- define "kafka.clientPeers" -}}
{{- range .Values.networkPolicy.ingress -}}
{{- if has "9092" (toStrings .ports) }}{{ include "common.peers" .from }}{{ end -}}
{{- end -}}
{{- end -}}

{{/*
Labels of Strimzi's resources, without the version: the operator copies them to the pods, and a changed version would restart
the brokers with each release of the chart.
*/}}
{{- define "kafka.strimzi.labels" -}}
{{ include "common.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Metadata of a Strimzi resource that belongs to the Kafka cluster. Context: component, the name of the resource. */}}
{{- define "kafka.strimzi.metadata" -}}
name: {{ .component }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "kafka.strimzi.labels" (pick . "Chart" "Release" "Values") | nindent 2 }}
  strimzi.io/cluster: {{ .Values.clusterName }}
{{- end -}}

{{/*
Annotation that keeps a resource after an uninstall. Otherwise Strimzi would delete the topics with their records, and a new
Kafka would have another cluster id than its volumes.
*/}}
{{- define "kafka.strimzi.keep" -}}
helm.sh/resource-policy: keep
{{- end -}}

{{/*
Security context of the containers of Strimzi's pods, with all that `restricted` requires. The pods' own context is left to the
operator: it sets the group 0 of its images on the volumes, and nothing on OpenShift, which assigns groups itself.
*/}}
{{- define "kafka.strimzi.containerSecurityContext" -}}
{{ include "common.containerSecurityContext" . }}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Fields of all of Strimzi's pods. Values: extraLabels, imagePullSecrets, tolerations. */}}
{{- define "kafka.strimzi.pod" -}}
{{- with .Values.extraLabels }}
metadata:
  labels: {{- toYaml . | nindent 4 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Fields that place Strimzi's brokers. Values: affinity, topologySpread. */}}
{{- define "kafka.strimzi.spread" -}}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.topologySpread }}
topologySpreadConstraints:
  {{- range .Values.topologySpread }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ .maxSkew | default 1 }}
    whenUnsatisfiable: {{ .whenUnsatisfiable | default "ScheduleAnyway" }}
    labelSelector:
      matchLabels: {{- include "kafka.strimzi.brokerSelector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Labels that select the brokers' pods of all node pools. */}}
{{- define "kafka.strimzi.brokerSelector" -}}
strimzi.io/cluster: {{ .Values.clusterName }}
strimzi.io/name: {{ .Values.clusterName }}-kafka
{{- end -}}

{{/* Labels that select the pod of the topic and user operators. */}}
{{- define "kafka.strimzi.entityOperatorSelector" -}}
strimzi.io/cluster: {{ .Values.clusterName }}
strimzi.io/name: {{ .Values.clusterName }}-entity-operator
{{- end -}}
