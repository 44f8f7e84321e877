//go:build !linux

package caddyonetime

import "log/slog"

func warnIfLost(*slog.Logger, Store) {}
