//go:build tools

// Package tools names the programs that build makes, so that go.mod and go.sum are about them and no others.
package tools

import (
	_ "github.com/grafana/loki/v3/cmd/loki"
	_ "github.com/prometheus/prometheus/cmd/prometheus"
)
