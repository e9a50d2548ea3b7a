{{/*
For charts that have this one as a dependency, with `mode: sidecar`. Their pod template says:

  metadata:
    annotations:
      {{- include "halo-otel.sidecar.annotations" (index .Subcharts "halo-otel") | nindent 6 }}
  spec:
    initContainers:
      - {{- include "halo-otel.sidecar.container" (index .Subcharts "halo-otel") | nindent 8 }}
      - name: otel-collector        # after it, so that it stops before it
        restartPolicy: Always
    volumes:
      {{- include "halo-otel.sidecar.volumes" (index .Subcharts "halo-otel") | nindent 6 }}
*/}}

{{- define "halo-otel.sidecar.container" -}}
{{- if ne .Values.mode "sidecar" -}}
{{- fail (printf "%s.mode: is %s, and a pod wants the sidecar: set it to sidecar" .Chart.Name .Values.mode) -}}
{{- end -}}
{{- include "halo-otel.container" . -}}
{{- end }}

{{- define "halo-otel.sidecar.volumes" -}}
{{ include "halo-otel.volumes.empty" . }}
{{ include "halo-otel.volumes.read" . }}
{{- end }}

{{- define "halo-otel.sidecar.annotations" -}}
{{ include "halo-otel.checksum" . }}
{{- end }}
