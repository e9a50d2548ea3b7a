{{/* halo.yaml, and the secrets that it names. */}}

{{- /* One entry for each Secret that is named: which keys become which files, and what halo.yaml says of them. */}}
{{- define "halo-otel.secrets" -}}
{{- $at := "/etc/halo-otel/secrets" -}}
{{- with .Values.secrets }}
{{- with .tokens }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: tokens}]
  config:
    receivers:
      otlp:
        protocols:
          grpc: {auth: {tokens_file: {{ $at }}/tokens}}
          http: {auth: {tokens_file: {{ $at }}/tokens}}
{{- end }}{{ end }}
{{- with .metricsToken }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: metrics-token}]
  config: {web: {auth: {tokens_file: {{ $at }}/metrics-token}}}
{{- end }}{{ end }}
{{- with .tls }}{{ if .existingSecret }}
{{- $pair := printf "cert_file: %s/tls.crt, key_file: %s/tls.key" $at $at }}
{{- $server := printf "{tls: {%s%s}}" $pair (.clientCaKey | empty | ternary "" (printf ", client_ca_file: %s/client-ca.crt" $at)) }}
- name: {{ .existingSecret | quote }}
  items:
    - {key: {{ .certKey | quote }}, path: tls.crt}
    - {key: {{ .keyKey | quote }}, path: tls.key}
    {{- with .clientCaKey }}
    - {key: {{ . | quote }}, path: client-ca.crt}
    {{- end }}
  config:
    receivers:
      otlp:
        protocols:
          grpc: {{ $server }}
          http: {{ $server }}
    {{- if .metrics }}
    web: {tls: { {{- $pair -}} }}
    {{- end }}
    # For the commands in the pod, such as `halo-otel findings`.
    control:
      tls:
        server_name_override: {{ include "halo-otel.serverName" $ }}
        {{- if .clientCaKey }}
        cert_file: {{ $at }}/tls.crt
        key_file: {{ $at }}/tls.key
        {{- end }}
{{- end }}{{ end }}
{{- with .exporterTls }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items:
    {{- range $path, $key := dict "exporter-ca.crt" .caKey "exporter.crt" .certKey "exporter.key" .keyKey }}
    {{- with $key }}
    - {key: {{ . | quote }}, path: {{ $path }}}
    {{- end }}
    {{- end }}
  config:
    exporters:
      otlp:
        tls:
          insecure: false
          {{- if .caKey }}
          ca_file: {{ $at }}/exporter-ca.crt
          {{- end }}
          {{- if .certKey }}
          cert_file: {{ $at }}/exporter.crt
          {{- end }}
          {{- if .keyKey }}
          key_file: {{ $at }}/exporter.key
          {{- end }}
{{- end }}{{ end }}
{{- with .exporterHeaders }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: exporter-headers.yaml}]
  config: {exporters: {otlp: {headers_file: {{ $at }}/exporter-headers.yaml}}}
{{- end }}{{ end }}
{{- with .registryUrl }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: registry-url}]
  config: {registry: {url_file: {{ $at }}/registry-url}}
{{- end }}{{ end }}
{{- with .llmApiKey }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: llm-api-key}]
  config: {llm: {api_key_file: {{ $at }}/llm-api-key}}
{{- end }}{{ end }}
{{- with .llmHeaders }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: llm-headers.yaml}]
  config: {llm: {headers_file: {{ $at }}/llm-headers.yaml}}
{{- end }}{{ end }}
{{- with .redactionKey }}{{ if .existingSecret }}
- name: {{ .existingSecret | quote }}
  items: [{key: {{ .key | quote }}, path: redaction-key}]
  config: {redaction: {key_file: {{ $at }}/redaction-key}}
{{- end }}{{ end }}
{{- end }}
{{- end }}

{{- /* The name that our certificate has: the one under which Collectors know us. */}}
{{- define "halo-otel.serverName" -}}
{{- $service := printf "%s.%s.svc" (include "halo-otel.fullname" .) .Release.Namespace -}}
{{- default (eq .Values.mode "sidecar" | ternary "localhost" $service) .Values.secrets.tls.serverName -}}
{{- end }}

{{- /* halo.yaml: `config`, and over it what the secrets say. */}}
{{- define "halo-otel.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range include "halo-otel.secrets" . | fromYamlArray -}}
{{- $config = mergeOverwrite $config .config -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{- /* Changes with halo.yaml, so that pods are replaced: the service reads it once. */}}
{{- define "halo-otel.checksum" -}}
checksum/config: {{ include "halo-otel.config" . | sha256sum }}
{{- end }}

{{- /* "true" where nobody is asked who they are, for a server's section of halo.yaml. */}}
{{- define "halo-otel.open" -}}
{{- not (or (dig "auth" "tokens_file" "" .) (dig "tls" "client_ca_file" "" .)) -}}
{{- end }}

{{- /* Where findings go. */}}
{{- define "halo-otel.findingsEndpoint" -}}
{{- dig "exporters" "otlp" "endpoint" (eq .Values.mode "sidecar" | ternary "localhost:4317" "") .Values.config -}}
{{- end }}

{{- /* The sections of both OTLP servers in halo.yaml: grpc and http. */}}
{{- define "halo-otel.otlpServers" -}}
{{- $none := dict "grpc" dict "http" dict -}}
{{- merge (dig "receivers" "otlp" "protocols" dict (include "halo-otel.config" . | fromYaml)) $none | toYaml -}}
{{- end }}
