"""What the OpenTelemetry Operator takes and does, as far as deploy/kubernetes/operator asks for it.

Facts from opentelemetry-operator v0.158.0: the fields of `OpenTelemetryCollector` opentelemetry.io/v1beta1
(config/crd/bases) and which of them a mode has (internal/webhook/collector_webhook.go), and how a sidecar is
injected (pkg/sidecar/pod.go). Fields that are Kubernetes' own are judged by Kubernetes' schemas, in the pod.
"""

from copy import deepcopy
from typing import Any, Final

import yaml

Document = dict[str, Any]
_OBJECT: Final = {"type": "object"}
_LIST: Final = {"type": "array", "items": _OBJECT}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_PIPELINE: Final = {
    "type": "object",
    "properties": {"receivers": _TEXTS, "processors": _TEXTS, "exporters": _TEXTS},
    "required": ["receivers", "exporters"],
    "additionalProperties": False,
}
_CONFIG: Final = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("receivers", "processors", "exporters", "connectors", "extensions"), _OBJECT
        ),
        "service": {
            "type": "object",
            "properties": {
                "extensions": _TEXTS,
                "pipelines": {"type": "object", "additionalProperties": _PIPELINE},
                "telemetry": _OBJECT,
            },
            "required": ["pipelines"],
            "additionalProperties": False,
        },
    },
    "required": ["receivers", "exporters", "service"],
    "additionalProperties": False,
}
_EVERYWHERE: Final[Document] = {
    "image": {"type": "string"},
    "config": _CONFIG,
    "env": _LIST,
    "resources": _OBJECT,
    "securityContext": _OBJECT,
    "volumeMounts": _LIST,
    "volumes": _LIST,
}
_OF_ITS_OWN: Final[Document] = {
    "replicas": {"type": "integer", "minimum": 0},
    "serviceAccount": {"type": "string"},
    "podSecurityContext": _OBJECT,
    "terminationGracePeriodSeconds": {"type": "integer", "minimum": 0},
}
MODES: Final[Document] = {
    "sidecar": {},
    "deployment": _OF_ITS_OWN,
    "statefulset": {**_OF_ITS_OWN, "volumeClaimTemplates": _LIST},
}


def schema(mode: str) -> Document:
    """Strict, for the resources of a mode."""
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"const": "opentelemetry.io/v1beta1"},
            "kind": {"const": "OpenTelemetryCollector"},
            "metadata": {"type": "object", "required": ["name"]},
            "spec": {
                "type": "object",
                "properties": {"mode": {"const": mode}, **_EVERYWHERE, **MODES[mode]},
                "required": ["mode", "config"],
                "additionalProperties": False,
            },
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def container(resource: Document) -> Document:
    """The operator's container; a sidecar has the configuration in a variable."""
    spec = resource["spec"]
    taken = {
        key: deepcopy(spec[key])
        for key in ("image", "env", "resources", "securityContext", "volumeMounts")
        if key in spec
    }
    return {"name": "otc-container", **taken}


def injected(workload: Document, resource: Document) -> Document:
    """The workload with the Collector in its pod, as on Kubernetes 1.29 or newer."""
    made = deepcopy(workload)
    pod = made["spec"]["template"]["spec"]
    added = container(resource) | {"args": ["--config=env:OTEL_CONFIG"], "restartPolicy": "Always"}
    told = yaml.safe_dump(resource["spec"]["config"])
    added["env"] = [*added["env"], {"name": "OTEL_CONFIG", "value": told}]
    # The probe asks the extension `health_check`, and is the startup probe, too.
    added["readinessProbe"] = added["startupProbe"] = {"httpGet": {"path": "/", "port": 13133}}
    pod["initContainers"] = [*pod.get("initContainers", []), added]
    pod["volumes"] = [*pod["volumes"], *resource["spec"].get("volumes", [])]
    return made


def workload(resource: Document) -> Document:
    """The Deployment or StatefulSet of a resource with pods of its own."""
    spec = resource["spec"]
    labels = {"app.kubernetes.io/component": "opentelemetry-collector"}
    kind = {"deployment": "Deployment", "statefulset": "StatefulSet"}[spec["mode"]]
    pod: Document = {
        "containers": [container(resource)],
        "securityContext": spec["podSecurityContext"],
        "volumes": spec.get("volumes", []),
        "terminationGracePeriodSeconds": spec["terminationGracePeriodSeconds"],
    }
    if "serviceAccount" in spec:
        pod["serviceAccountName"] = spec["serviceAccount"]
    made: Document = {
        "replicas": spec["replicas"],
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if kind == "StatefulSet":
        made |= {"serviceName": "headless", "volumeClaimTemplates": spec["volumeClaimTemplates"]}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": resource["metadata"], "spec": made}
