{{/*
`helm test`: a pod `<name>-test` that runs the Python of the context's `script` in an image of ours, with its own policy.
The tested pods name `<name>-test` among their networkPolicy.ingress. Values: those of common.container for the image, user,
imagePullSecrets, and
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

{{- define "common.testResources" -}}
requests: {cpu: 50m, memory: 64Mi}
limits: {cpu: 500m, memory: 256Mi}
{{- end -}}

{{/* Script that asks the URL of the context's `url` and fails, with what to look at, where the answer is not 200. */}}
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
