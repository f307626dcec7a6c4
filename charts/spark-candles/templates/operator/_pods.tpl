{{/*
Driver and executors as the library makes every pod, for the templates of a SparkApplication. What Spark itself puts into
its pods stays out: resources (from cores and memory), its own ports, the settings of a session that is not Spark's. The
operator finds the containers by the names that Spark gives them.
*/}}
{{- define "spark.podTemplate" -}}
{{- $template := include "common.podTemplate" . | fromYaml -}}
{{- $container := merge (dict "name" .container) (omit (index $template.spec.containers 0) "resources") -}}
{{- $spec := merge (dict "containers" (list $container)) .pod $template.spec -}}
{{- toYaml (dict "metadata" $template.metadata "spec" $spec) -}}
{{- end -}}

{{/* Values of driver and executors. */}}
{{- define "spark.values" -}}
{{- $settings := omit .Values.settings "SPARK_MASTER" "SPARK_DRIVER_MEMORY" "SPARK_UI_PORT" -}}
{{- toYaml (merge (dict "settings" $settings) (omit .Values "settings" "ports")) -}}
{{- end -}}

{{/*
Without a readiness probe: executors find the driver through a Service that Spark makes, which leads to ready pods only, and
the driver is not ready before it has executors. Kubernetes would let neither begin.
*/}}
{{- define "spark.driver" -}}
{{- $own := dict "ports" (omit .Values.ports "spark-ui") "probes" (omit .Values.probes "readiness") -}}
{{- $values := merge $own (omit (include "spark.values" . | fromYaml) "probes") -}}
{{- $pod := dict "serviceAccountName" .Values.operator.serviceAccount "automountServiceAccountToken" true -}}
{{- include "spark.podTemplate" (dict "Chart" .Chart "Release" .Release "Values" $values "pod" $pod "container" "spark-kubernetes-driver") -}}
{{- end -}}

{{- define "spark.executor" -}}
{{- $values := omit (include "spark.values" . | fromYaml) "probes" -}}
{{- include "spark.podTemplate" (dict "Chart" .Chart "Release" .Release "Values" $values "pod" dict "container" "spark-kubernetes-executor" "component" (include "spark.executorName" .)) -}}
{{- end -}}

{{- define "spark.executorName" -}}
{{ include "common.name" . }}-executor
{{- end -}}
