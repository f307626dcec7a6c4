{{/*
Pod template of driver or executor for a SparkApplication, rendered by the library. Fields that Spark sets itself are left out:
resources (from cores and memory), Spark's ports, and the settings of mode pod. The operator finds the containers by the names
that Spark gives them.
*/}}
{{- define "spark.podTemplate" -}}
{{- $template := include "common.podTemplate" . | fromYaml -}}
{{- $container := merge (dict "name" .container) (omit (index $template.spec.containers 0) "resources") -}}
{{- $spec := merge (dict "containers" (list $container)) .pod $template.spec -}}
{{- toYaml (dict "metadata" $template.metadata "spec" $spec) -}}
{{- end -}}

{{/* Values of driver and executors, without the settings that only apply to mode pod. */}}
{{- define "spark.values" -}}
{{- $settings := omit .Values.settings "SPARK_MASTER" "SPARK_DRIVER_MEMORY" "SPARK_UI_PORT" -}}
{{- toYaml (merge (dict "settings" $settings) (omit .Values "settings" "ports")) -}}
{{- end -}}

{{/*
Pod template of the driver. It becomes ready after its executors, which therefore must not connect through a Service: the
image's entrypoint gives them the driver's address.
*/}}
{{- define "spark.driver" -}}
{{- $values := merge (dict "ports" (omit .Values.ports "spark-ui")) (include "spark.values" . | fromYaml) -}}
{{- $pod := dict "serviceAccountName" .Values.operator.serviceAccount "automountServiceAccountToken" true -}}
{{- include "spark.podTemplate" (dict "Chart" .Chart "Release" .Release "Values" $values "pod" $pod "container" "spark-kubernetes-driver") -}}
{{- end -}}

{{/* Pod template of the executors. */}}
{{- define "spark.executor" -}}
{{- $values := omit (include "spark.values" . | fromYaml) "probes" -}}
{{- include "spark.podTemplate" (dict "Chart" .Chart "Release" .Release "Values" $values "pod" dict "container" "spark-kubernetes-executor" "component" (include "spark.executorName" .)) -}}
{{- end -}}

{{/* Name of the executors' component. */}}
{{- define "spark.executorName" -}}
{{ include "common.name" . }}-executor
{{- end -}}
