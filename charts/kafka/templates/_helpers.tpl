{{/* Topics and users, from the one file that says who may do what. */}}
{{- define "kafka.access" -}}
{{ .Files.Get "files/access.yaml" }}
{{- end -}}

{{/* The pods that may reach the clients' listener, as Strimzi wants them: a list of NetworkPolicy peers. */}}
{{- define "kafka.clientPeers" -}}
{{- range .Values.networkPolicy.ingress -}}
{{- include "common.peers" .from }}
{{- end -}}
{{- end -}}

{{/*
Labels of Strimzi's resources. The operator hands them on to the pods, so there is no version among them: it would restart
the brokers with each release of the chart.
*/}}
{{- define "kafka.strimzi.labels" -}}
{{ include "common.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* metadata of a resource of Strimzi's that belongs to the cluster. Context: component, the resource's name. */}}
{{- define "kafka.strimzi.metadata" -}}
name: {{ .component }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "kafka.strimzi.labels" (omit . "component") | nindent 2 }}
  strimzi.io/cluster: {{ .Values.clusterName }}
{{- end -}}

{{/*
Annotation of what the data hang on. Without them an uninstall would have Strimzi delete the topics with their records, and a
Kafka made anew would have another cluster id than its volumes.
*/}}
{{- define "kafka.strimzi.keep" -}}
helm.sh/resource-policy: keep
{{- end -}}

{{/* What `restricted` asks of a pod; Strimzi's images bring their own numeric user, and its operator the volumes' group. */}}
{{- define "kafka.strimzi.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Where Strimzi places its brokers. Values: tolerations, affinity, topologySpread. */}}
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

{{/* What selects the brokers' pods, however many pools they are in. */}}
{{- define "kafka.strimzi.brokerSelector" -}}
strimzi.io/cluster: {{ .Values.clusterName }}
strimzi.io/name: {{ .Values.clusterName }}-kafka
{{- end -}}
