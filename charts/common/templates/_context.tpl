{{/*
Every template takes a context: the chart's own, `.`, or one that the chart builds for a second component:

    (dict "Chart" .Chart "Release" .Release "Values" .Values.topics "component" "topics")

Further keys of a context, all optional. Templates of a chart set them; users set values:
  component     name of the object and of its pods' label; default: the chart's name
  config        text of the ConfigMaps that the pods read; a change restarts the pods
  env           list of additional env entries, as in a container (for example with fieldRef)
  command, args lists; default: values command and args, else the image's own
  volumes, volumeMounts  lists, as in a Pod, before the values extraVolumes and extraVolumeMounts
  initContainers  list, as in a Pod
  containers    list, as in a Pod, in place of the container that the values describe
  restartPolicy of the pods; default: Always
  serviceName   name of a Service or of a StatefulSet's governing Service; default: component
  servicePorts  map of port name to number; default: value service.ports
  script        Python program that the test pod runs (common.test)
*/}}

{{/* Name of the component. */}}
{{- define "common.name" -}}
{{ get . "component" | default .Chart.Name }}
{{- end -}}

{{/* Labels that select the pods. They must never change: selectors are immutable. */}}
{{- define "common.selector" -}}
app.kubernetes.io/name: {{ include "common.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of pods, without the version, which would restart all pods with each release. Values: extraLabels (map). */}}
{{- define "common.podLabels" -}}
{{ include "common.selector" . }}
app.kubernetes.io/part-of: crypto-analytics
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of all other objects. */}}
{{- define "common.labels" -}}
{{ include "common.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Metadata of an object that is named like the component. */}}
{{- define "common.metadata" -}}
name: {{ include "common.name" . }}
namespace: {{ .Release.Namespace }}
labels: {{- include "common.labels" . | nindent 2 }}
{{- end -}}
