{{/* The container in every mode, its volumes, and the pod of the two modes that have one. */}}

{{- define "halo-otel.container" -}}
{{- $sidecar := eq .Values.mode "sidecar" -}}
{{- $config := include "halo-otel.config" . | fromYaml -}}
{{- $servers := include "halo-otel.otlpServers" . | fromYaml -}}
{{- $web := dict "path" "/healthz" "port" "halo-web" "scheme" (dig "web" "tls" "cert_file" "" $config | empty | ternary "HTTP" "HTTPS") -}}
{{- $pod := .Values.ipv6 | ternary "[$(POD_IP)]" "$(POD_IP)" -}}
{{- $otlp := $sidecar | ternary "localhost" $pod -}}
name: halo-otel
image: {{ include "halo-otel.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if $sidecar }}
restartPolicy: Always
{{- end }}
args: [serve]
env:
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  - {name: HALO_CONFIG, value: /etc/halo-otel/config/halo.yaml}
  # They stand over halo.yaml and over what the image says: never every address.
  - {name: HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_ENDPOINT, value: "{{ $otlp }}:14317"}
  - {name: HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP_ENDPOINT, value: "{{ $otlp }}:14318"}
  - {name: HALO_WEB_ENDPOINT, value: "{{ $pod }}:14319"}
  # "true" where nobody is asked for a token or a certificate.
  - {name: HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_AUTH_ALLOW_UNAUTHENTICATED, value: {{ include "halo-otel.open" $servers.grpc | quote }}}
  - {name: HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP_AUTH_ALLOW_UNAUTHENTICATED, value: {{ include "halo-otel.open" $servers.http | quote }}}
  - {name: HALO_WEB_AUTH_ALLOW_UNAUTHENTICATED, value: {{ include "halo-otel.open" (dig "web" dict $config) | quote }}}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- if not $sidecar }}
  - {name: halo-grpc, containerPort: 14317}
  - {name: halo-http, containerPort: 14318}
  {{- end }}
  - {name: halo-web, containerPort: 14319}
{{- /* A sidecar's startup probe would hold back the agent, and its readiness counts as the pod's. */}}
{{- if not $sidecar }}
startupProbe:
  httpGet: {{- toYaml $web | nindent 4 }}
  {{- toYaml .Values.startupProbe | nindent 2 }}
readinessProbe:
  {{- /* A kubelet's gRPC probe speaks no TLS. */}}
  {{- if dig "tls" "cert_file" "" $servers.grpc }}
  tcpSocket: {port: halo-grpc}
  {{- else }}
  grpc: {port: 14317}
  {{- end }}
  {{- toYaml .Values.readinessProbe | nindent 2 }}
{{- end }}
livenessProbe:
  httpGet: {{- toYaml $web | nindent 4 }}
  {{- toYaml .Values.livenessProbe | nindent 2 }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- if $sidecar }}
  {{- toYaml (merge (pick .Values.podSecurityContext "runAsNonRoot" "runAsUser" "runAsGroup" "seccompProfile") .Values.securityContext) | nindent 2 }}
  {{- else }}
  {{- toYaml .Values.securityContext | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: halo-otel, mountPath: /var/lib/halo-otel}
  - {name: halo-otel-config, mountPath: /etc/halo-otel/config, readOnly: true}
  {{- if include "halo-otel.secrets" . }}
  - {name: halo-otel-secrets, mountPath: /etc/halo-otel/secrets, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* All but the one for data. */}}
{{- define "halo-otel.volumes.read" -}}
- name: halo-otel-config
  configMap: {name: {{ include "halo-otel.fullname" . }}}
{{- with include "halo-otel.secrets" . | fromYamlArray }}
- name: halo-otel-secrets
  projected:
    # Mounted as a whole, so that what is replaced arrives. Our group may read it; a sidecar's pod may have
    # none, and there only this container mounts it.
    defaultMode: {{ eq $.Values.mode "sidecar" | ternary "0444" "0440" }}
    sources:
      {{- range . }}
      - secret: {{- omit . "config" | toYaml | nindent 10 }}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "halo-otel.volumes.empty" -}}
- name: halo-otel
  emptyDir: {sizeLimit: {{ .Values.persistence.size }}}
{{- end }}

{{- /* A pod template; `volumes` of the dictionary are those for data. */}}
{{- define "halo-otel.pod" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "halo-otel.podLabels" $root | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "halo-otel.checksum" $root | nindent 4 }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "halo-otel.serviceAccountName" $root }}
  automountServiceAccountToken: false       # nobody here talks to the API server
  enableServiceLinks: false                 # no HALO_… variables from Services of the namespace
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext: {{- toYaml $values.podSecurityContext | nindent 4 }}
  {{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
  {{- with get $values $key }}
  {{ $key }}: {{- kindIs "string" . | ternary (printf " %s" (toJson .)) (toYaml . | nindent 4) }}
  {{- end }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $ours := dict "labelSelector" (dict "matchLabels" (include "halo-otel.selectorLabels" $root | fromYaml)) }}
    - {{- toYaml (hasKey . "labelSelector" | ternary . (merge $ours .)) | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    - {{- include "halo-otel.container" $root | nindent 6 }}
  volumes:
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- include "halo-otel.volumes.read" $root | nindent 4 }}
{{- end }}
