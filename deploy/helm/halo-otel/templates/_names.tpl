{{/* Names and labels. */}}

{{- define "halo-otel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- /* 52 characters: what is appended, and the numbers of pods, must fit into 63. */}}
{{- define "halo-otel.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "halo-otel.selectorLabels" -}}
app.kubernetes.io/name: {{ include "halo-otel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of pods: nothing that changes with each version of the chart. */}}
{{- define "halo-otel.podLabels" -}}
{{ include "halo-otel.selectorLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "halo-otel.labels" -}}
{{ include "halo-otel.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* name, namespace and labels of a resource. */}}
{{- define "halo-otel.metadata" -}}
name: {{ include "halo-otel.fullname" . }}
namespace: {{ .Release.Namespace }}
labels: {{- include "halo-otel.labels" . | nindent 2 }}
{{- end }}

{{- define "halo-otel.serviceAccountName" -}}
{{- $made := .Values.serviceAccount.create | ternary (include "halo-otel.fullname" .) "default" -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end }}

{{- define "halo-otel.image" -}}
{{- $image := .Values.image -}}
{{- $cure := "image.repository: no image is published: build deploy/Dockerfile, push it to your registry and name it here" -}}
{{- $repository := required $cure $image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}
