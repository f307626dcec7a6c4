{{/* Service account of the chart's pods, named like the chart, without permissions and without a mounted token. */}}
{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Chart.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "common.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{/* Deployment. Values: replicas, strategy (as in a Deployment), progressDeadlineSeconds, and those of the pod. */}}
{{- define "common.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "common.metadata" . | nindent 2 }}
spec:
  replicas: {{ .Values.replicas }}
  revisionHistoryLimit: 3
  {{- with .Values.progressDeadlineSeconds }}
  progressDeadlineSeconds: {{ . }}
  {{- end }}
  {{- with .Values.strategy }}
  strategy: {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels: {{- include "common.selector" . | nindent 6 }}
  template: {{- include "common.podTemplate" . | nindent 4 }}
{{- end -}}

{{/*
StatefulSet. Values: replicas, persistence {size, storageClass, mountPath}, and those of the pod. The volume is named `data`
and is kept after an uninstall. Pods are managed in parallel: in order, a pod that never gets ready would block its own fix.
*/}}
{{- define "common.statefulset" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata: {{- include "common.metadata" . | nindent 2 }}
spec:
  replicas: {{ .Values.replicas }}
  revisionHistoryLimit: 3
  podManagementPolicy: Parallel
  serviceName: {{ get . "serviceName" | default (include "common.name" .) }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Retain
    whenScaled: Retain
  selector:
    matchLabels: {{- include "common.selector" . | nindent 6 }}
  template: {{- include "common.podTemplate" . | nindent 4 }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels: {{- include "common.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .Values.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .Values.persistence.size }}
{{- end -}}

{{/*
Job that can run again. Its name contains a hash of its spec: a changed spec creates a new Job, an unchanged one keeps the
Job. A failed Job is looked up in the cluster and replaced by one with another name.
Values: backoffLimit, activeDeadlineSeconds, and those of the pod.
*/}}
{{- define "common.job" -}}
{{- $spec := include "common.jobSpec" (merge (dict "restartPolicy" "Never") (omit . "restartPolicy")) -}}
{{- $name := printf "%s-%s" (include "common.name" .) (sha256sum $spec | trunc 10) -}}
{{- with lookup "batch/v1" "Job" .Release.Namespace $name -}}
{{- $uid := .metadata.uid -}}
{{- range .status.conditions -}}
{{- if and (eq .type "Failed") (eq .status "True") }}{{ $name = printf "%s-%s" $name (trunc 5 $uid) }}{{ end -}}
{{- end -}}
{{- end -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "common.labels" . | nindent 4 }}
spec: {{- $spec | nindent 2 }}
{{- end -}}

{{/* Spec of a Job. Values: those of common.job. */}}
{{- define "common.jobSpec" -}}
backoffLimit: {{ .Values.backoffLimit }}
activeDeadlineSeconds: {{ .Values.activeDeadlineSeconds }}
template: {{- include "common.podTemplate" . | nindent 2 }}
{{- end -}}

{{/*
PodDisruptionBudget, where there are more replicas than may be evicted at once: any other one protects nothing.
Values: replicas, podDisruptionBudget {maxUnavailable}.
*/}}
{{- define "common.podDisruptionBudget" -}}
{{- if gt (int .Values.replicas) (int .Values.podDisruptionBudget.maxUnavailable) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "common.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .Values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "common.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/*
PodMonitor for the Prometheus operator. Values: podMonitor {enabled, interval, path, port, labels}. For pods that another chart
creates, the context has podSelector (YAML of their labels) and metricsPorts (names of ports).
*/}}
{{- define "common.podMonitor" -}}
{{- if .Values.podMonitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "common.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
    {{- with .Values.podMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/name # whose value is the job in rules and dashboards
  selector:
    matchLabels: {{- get . "podSelector" | default (include "common.selector" .) | nindent 6 }}
  podMetricsEndpoints:
    {{- range get . "metricsPorts" | default (list (.Values.podMonitor.port | default "metrics")) }}
    - port: {{ . }}
      path: {{ $.Values.podMonitor.path | default "/metrics" }}
      interval: {{ $.Values.podMonitor.interval | default "15s" }}
    {{- end }}
{{- end -}}
{{- end -}}
