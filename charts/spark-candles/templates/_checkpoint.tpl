{{/* The volume that the checkpoint is on, for the one pod that writes it. */}}
{{- define "spark.volumes" -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "common.name" . }}
{{- end -}}
