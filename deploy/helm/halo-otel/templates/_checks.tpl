{{/* What must hold between values; each message ends in the cure. */}}

{{- define "halo-otel.checks" -}}
{{- include "halo-otel.checks.config" . -}}
{{- if eq .Values.mode "sidecar" -}}
{{- include "halo-otel.checks.sidecar" . -}}
{{- else -}}
{{- include "halo-otel.checks.replicas" . -}}
{{- include "halo-otel.checks.reach" . -}}
{{- end -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if not $limit -}}
{{- fail "resources.limits.memory: is not set, so halo-otel would take its shares of the node's memory: set it" -}}
{{- end -}}
{{- end }}

{{- define "halo-otel.checks.config" -}}
{{- $config := .Values.config -}}
{{- $protocols := dig "receivers" "otlp" "protocols" dict $config -}}
{{- $servers := dict "receivers.otlp.protocols.grpc" (dig "grpc" dict $protocols) "receivers.otlp.protocols.http" (dig "http" dict $protocols) "web" (dig "web" dict $config) -}}
{{- range $name, $server := $servers -}}
{{- if hasKey $server "endpoint" -}}
{{- fail (printf "config.%s.endpoint: the chart sets where the pod listens: take it out, and change the ports of `service`" $name) -}}
{{- end -}}
{{- if hasKey (dig "auth" dict $server) "allow_unauthenticated" -}}
{{- fail (printf "config.%s.auth.allow_unauthenticated: the chart sets it: take it out, see secrets.tokens, networkPolicy and allowUnauthenticated" $name) -}}
{{- end -}}
{{- end -}}
{{- if dig "storage" "directory" "" $config -}}
{{- fail "config.storage.directory: the chart mounts a volume where the image keeps its data: take it out, see persistence" -}}
{{- end -}}
{{- if dig "web" "tls" "client_ca_file" "" $config -}}
{{- fail "config.web.tls.client_ca_file: probes have no certificate to show: take it out, see secrets.metricsToken" -}}
{{- end -}}
{{- if dig "llm" "api_key" "" $config -}}
{{- fail "config.llm.api_key: would be readable in a ConfigMap: put it into a Secret and name that in secrets.llmApiKey" -}}
{{- end -}}
{{- if dig "registry" "url" "" $config -}}
{{- fail "config.registry.url: may hold a password and would be readable in a ConfigMap: put it into a Secret and name that in secrets.registryUrl" -}}
{{- end -}}
{{- range $section, $headers := dict "exporters.otlp" (dig "exporters" "otlp" "headers" dict $config) "llm" (dig "llm" "headers" dict $config) -}}
{{- range $header, $_ := $headers -}}
{{- if regexMatch "(?i)auth|key|token|secret|cookie|password" $header -}}
{{- fail (printf "config.%s.headers.%s: would be readable in a ConfigMap: put the headers into a Secret and name that in %s" $section $header (eq $section "llm" | ternary "secrets.llmHeaders" "secrets.exporterHeaders")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "halo-otel.checks.sidecar" -}}
{{- if .Values.serviceMonitor.enabled -}}
{{- fail "serviceMonitor.enabled: mode sidecar has no Service: use podMonitor" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (not .Values.podMonitor.matchLabels) -}}
{{- fail "podMonitor.matchLabels: the pods of mode sidecar are another chart's: set labels that they bear" -}}
{{- end -}}
{{- end }}

{{- define "halo-otel.checks.replicas" -}}
{{- $claim := and (eq .Values.mode "deployment") .Values.persistence.enabled -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if not (or .Values.secrets.registryUrl.existingSecret (dig "registry" "url_file" "" .Values.config)) -}}
{{- fail (printf "replicas: %d need one PostgreSQL registry, or each would tell findings of its own: set secrets.registryUrl.existingSecret to a Secret with its URL" (int .Values.replicas)) -}}
{{- end -}}
{{- if $claim -}}
{{- fail "replicas: pods of a Deployment cannot share a claim: use mode gateway, or persistence.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not $claim) -}}
{{- fail "persistence.existingClaim: is for mode deployment with persistence.enabled; mode gateway makes a claim for each replica" -}}
{{- end -}}
{{- if not (or (include "halo-otel.findingsEndpoint" .) (eq (dig "exporters" "otlp" "enabled" true .Values.config) false)) -}}
{{- fail "config.exporters.otlp.endpoint: where do findings go? Set it to the Collector's OTLP/gRPC receiver, like otel-collector.observability:4317, or config.exporters.otlp.enabled to false" -}}
{{- end -}}
{{- end }}

{{- define "halo-otel.checks.reach" -}}
{{- range $name, $server := include "halo-otel.otlpServers" . | fromYaml -}}
{{- if and (eq (include "halo-otel.open" $server) "true") (not $.Values.allowUnauthenticated) -}}
{{- if not $.Values.networkPolicy.enabled -}}
{{- fail (printf "networkPolicy.enabled: without it nobody is asked who they are before they send (%s): set secrets.tokens or secrets.tls.clientCaKey, or say allowUnauthenticated=true" $name) -}}
{{- end -}}
{{- if ne $.Values.service.type "ClusterIP" -}}
{{- fail (printf "service.type: %s is reached from outside, and nobody is asked who they are (%s): set secrets.tokens or secrets.tls.clientCaKey, or say allowUnauthenticated=true" $.Values.service.type $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
