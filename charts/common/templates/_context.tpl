{{/*
Every template takes the chart's context, `.`, or one that a chart makes for a further component:

    (dict "Chart" .Chart "Release" .Release "Values" .Values.topics "component" "topics")

Keys of a context beside Chart, Release and Values are the chart author's (users have values), all optional:
  component     name of the object and of its pods' label; default: the chart's name
  config        text of the ConfigMaps that the pods read: a change of it rolls them
  env           list of further env entries, as in a Pod (fieldRef and the like)
  command, args lists; default: values command and args, else the image's own
  volumes, volumeMounts  lists, as in a Pod; come before the values extraVolumes, extraVolumeMounts
  initContainers  list, as in a Pod
  containers    list, as in a Pod, in place of the one that the values describe
  restartPolicy of the pods; default: Always
  serviceName   name of a Service or of a StatefulSet's governing Service; default: component
  servicePorts  map of port name to number; default: value service.ports
  script        Python that a test runs (common.test)
*/}}

{{- define "common.name" -}}
{{ get . "component" | default .Chart.Name }}
{{- end -}}

{{/* What selects the pods: never changes. */}}
{{- define "common.selector" -}}
app.kubernetes.io/name: {{ include "common.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of pods: no version, or each release would restart all of them. Values: extraLabels (map). */}}
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

{{/* metadata of an object called like the component. */}}
{{- define "common.metadata" -}}
name: {{ include "common.name" . }}
namespace: {{ .Release.Namespace }}
labels: {{- include "common.labels" . | nindent 2 }}
{{- end -}}
