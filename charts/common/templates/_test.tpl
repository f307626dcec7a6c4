{{/*
Pod `<name>-test` of `helm test`, which runs the context's `script` as Python, with its own NetworkPolicy. The tested pods
must list `<name>-test` in networkPolicy.ingress. Values: image, user and imagePullSecrets as in common.container, and
  test {image {registry, repository, tag} (default: the chart's own), user, settings, secretName, egress: [{to, ports}]}
*/}}
{{- define "common.test" -}}
{{- $name := printf "%s-test" (include "common.name" .) -}}
{{- $test := .Values.test -}}
{{- $image := merge (dict) ($test.image | default dict) (ternary (omit .Values.image "tag" "repository") .Values.image (hasKey $test "image")) -}}
{{- $policy := dict "enabled" .Values.networkPolicy.enabled "egress" ($test.egress | default list) -}}
{{- $values := dict "image" $image "user" ($test.user | default .Values.user) "settings" ($test.settings | default dict)
      "secretName" ($test.secretName | default "") "extraLabels" (.Values.extraLabels | default dict)
      "imagePullSecrets" (.Values.imagePullSecrets | default list) "networkPolicy" $policy "resources" (include "common.testResources" . | fromYaml) -}}
{{- $context := dict "Chart" .Chart "Release" .Release "Values" $values "component" $name "restartPolicy" "Never"
      "command" (list "python" "-c" .script) -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "common.podLabels" $context | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  {{- include "common.podSpec" $context | nindent 2 }}
{{- with include "common.networkPolicy" $context }}
---
{{ . }}
{{- end }}
{{- end -}}

{{/* Resource requests and limits of the test pod. */}}
{{- define "common.testResources" -}}
requests: {cpu: 50m, memory: 64Mi}
limits: {cpu: 500m, memory: 256Mi}
{{- end -}}

{{/* Test script that requests the context's `url`. It fails unless the status is 200, and prints the next command. */}}
{{- define "common.test.http" -}}
import sys, urllib.error, urllib.request

url = {{ .url | quote }}
try:
    with urllib.request.urlopen(url, timeout=10) as answer:
        print(url, answer.status, answer.read(200).decode().strip())
except urllib.error.HTTPError as error:
    sys.exit(f"{url}: {error}: {error.read(200).decode().strip()}; next: kubectl -n {{ .Release.Namespace }} logs -l app.kubernetes.io/name={{ include "common.name" . }}")
except OSError as error:
    sys.exit(f"{url}: {error}; next: kubectl -n {{ .Release.Namespace }} get pods -l app.kubernetes.io/name={{ include "common.name" . }}")
{{- end -}}
