{{/*
Service inside the cluster and, if expose.enabled is true, a second Service `<name>-external` with node ports.
Values: service {ports (map of name to number; the container's port has the same name), headless},
expose {enabled, nodePort, port (name)} or, for several, expose {enabled, nodePorts (map of port name to number)}.
*/}}
{{- define "common.service" -}}
{{- $name := get . "serviceName" | default (include "common.name" .) -}}
{{- $ports := get . "servicePorts" | default .Values.service.ports -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "common.labels" . | nindent 4 }}
spec:
  {{- if (.Values.service | default dict).headless }}
  clusterIP: None
  {{- end }}
  selector: {{- include "common.selector" . | nindent 4 }}
  ports:
    {{- range $port, $number := $ports }}
    - name: {{ $port }}
      port: {{ $number }}
      targetPort: {{ $port }}
    {{- end }}
{{- $nodePorts := include "common.nodePorts" . | fromYaml }}
{{- if $nodePorts }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "common.name" . }}-external
  namespace: {{ .Release.Namespace }}
  labels: {{- include "common.labels" . | nindent 4 }}
spec:
  type: NodePort
  selector: {{- include "common.selector" . | nindent 4 }}
  ports:
    {{- $container := .Values.ports }}
    {{- range $port, $number := $nodePorts }}
    - name: {{ $port }}
      port: {{ get $container $port }}
      targetPort: {{ $port }}
      nodePort: {{ $number }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Map of port name to node port of the exposed ports, as YAML. */}}
{{- define "common.nodePorts" -}}
{{- with .Values.expose -}}
{{- if .enabled -}}
{{- if .nodePorts }}{{ toYaml .nodePorts }}{{ else }}{{ .port }}: {{ .nodePort }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
NetworkPolicy of the pods. The namespace's own policy denies all other traffic and allows DNS. Names are pods' names
(app.kubernetes.io/name) in the same namespace, ports are the pods' ports. Values: networkPolicy
  enabled
  ingress: [{from: [names], ports: [numbers]}]
  egress: [{to: [names], ports}] or [{cidrs: [addresses outside of the cluster], ports}]
  egressInternet: [ports], to public addresses only
  monitoringNamespace: namespace of Prometheus, which may connect if podMonitor.enabled is true
Exposed ports are open to every address, because their clients are outside of the cluster.
*/}}
{{- define "common.networkPolicy" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $name := include "common.name" . -}}
{{- if $policy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "common.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "common.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- $ingress := include "common.ingressRules" . }}
  {{- if $ingress }}
  ingress: {{- $ingress | nindent 4 }}
  {{- end }}
  {{- $egress := include "common.egressRules" . }}
  {{- if $egress }}
  egress: {{- $egress | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Ingress rules of the NetworkPolicy, as YAML. */}}
{{- define "common.ingressRules" -}}
{{- $rules := list -}}
{{- range .Values.networkPolicy.ingress -}}
{{- $rules = append $rules (dict "from" (include "common.peers" .from | fromYamlArray) "ports" (include "common.policyPorts" .ports | fromYamlArray)) -}}
{{- end -}}
{{- $nodePorts := include "common.nodePorts" . | fromYaml -}}
{{- if $nodePorts -}}
{{- $numbers := list -}}
{{- range $port, $_ := $nodePorts }}{{ $numbers = append $numbers (get $.Values.ports $port) }}{{ end -}}
{{- $rules = append $rules (dict "ports" (include "common.policyPorts" $numbers | fromYamlArray)) -}}
{{- end -}}
{{- $port := get (.Values.ports | default dict) ((.Values.podMonitor | default dict).port | default "metrics") -}}
{{- $rules = concat $rules (include "common.monitoringRules" (merge (dict "metricsPort" $port) .) | fromYamlArray) -}}
{{- if $rules }}{{ toYaml $rules }}{{ end -}}
{{- end -}}

{{/*
Ingress rule for Prometheus, as a list: one rule if podMonitor.enabled is true, else none. Context: metricsPort, a number.
Values: podMonitor {enabled}, networkPolicy {monitoringNamespace}.
*/}}
{{- define "common.monitoringRules" -}}
{{- if (.Values.podMonitor | default dict).enabled -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.networkPolicy.monitoringNamespace | default "monitoring" }}
  ports: {{- include "common.policyPorts" (list .metricsPort) | trim | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Egress rules of the NetworkPolicy, as YAML. */}}
{{- define "common.egressRules" -}}
{{- $rules := list -}}
{{- range .Values.networkPolicy.egress -}}
{{- $peers := include "common.peers" .to | fromYamlArray -}}
{{- range .cidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $rules = append $rules (dict "to" $peers "ports" (include "common.policyPorts" .ports | fromYamlArray)) -}}
{{- end -}}
{{- with .Values.networkPolicy.egressInternet -}}
{{- $private := list "10.0.0.0/8" "100.64.0.0/10" "169.254.0.0/16" "172.16.0.0/12" "192.168.0.0/16" -}}
{{- $public := list (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" $private)) (dict "ipBlock" (dict "cidr" "::/0" "except" (list "fc00::/7" "fe80::/10"))) -}}
{{- $rules = append $rules (dict "to" $public "ports" (include "common.policyPorts" . | fromYamlArray)) -}}
{{- end -}}
{{- if $rules }}{{ toYaml $rules }}{{ end -}}
{{- end -}}

{{/* Peers of a NetworkPolicy for a list of pods' names. */}}
{{- define "common.peers" -}}
{{- range . }}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ . }}
{{- end -}}
{{- end -}}

{{/* Ports of a NetworkPolicy for a list of numbers. */}}
{{- define "common.policyPorts" -}}
{{- range . }}
- port: {{ . }}
  protocol: TCP
{{- end -}}
{{- end -}}
