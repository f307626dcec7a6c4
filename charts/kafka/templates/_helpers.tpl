{{/* Topics, users and ACLs: files/access.yaml. */}}
{{- define "kafka.access" -}}
{{ .Files.Get "files/access.yaml" }}
{{- end -}}

{{/* Pods that may connect to the clients' listener, as NetworkPolicy peers. */}}
{{- define "kafka.clientPeers" -}}
{{- range .Values.networkPolicy.ingress -}}
{{- include "common.peers" .from }}
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
  {{- include "kafka.strimzi.labels" (omit . "component") | nindent 2 }}
  strimzi.io/cluster: {{ .Values.clusterName }}
{{- end -}}

{{/*
Annotation that keeps a resource after an uninstall. Otherwise Strimzi would delete the topics with their records, and a new
Kafka would have another cluster id than its volumes.
*/}}
{{- define "kafka.strimzi.keep" -}}
helm.sh/resource-policy: keep
{{- end -}}

{{/* Security context that `restricted` requires. Strimzi's images have a numeric user, and the operator sets the volumes' group. */}}
{{- define "kafka.strimzi.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Scheduling fields of Strimzi's brokers. Values: tolerations, affinity, topologySpread. */}}
{{- define "kafka.strimzi.scheduling" -}}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
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
