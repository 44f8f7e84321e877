package reload

import (
	"context"
	"log/slog"
)

// Logger returns a logger that hands each record to what current returns at
// that moment. Caddy closes the logs of a configuration with it, so that what
// outlives one must not keep its logger.
func Logger(current func() *slog.Logger) *slog.Logger {
	return slog.New(&handler{current: current})
}

// handler remembers the attributes and groups it was given, and gives them to
// the handler of the day.
type handler struct {
	current func() *slog.Logger
	with    func(slog.Handler) slog.Handler
}

func (h *handler) of() slog.Handler {
	inner := h.current().Handler()
	if h.with != nil {
		inner = h.with(inner)
	}
	return inner
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.current().Handler().Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	return h.of().Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.then(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	return h.then(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *handler) then(f func(slog.Handler) slog.Handler) *handler {
	before := h.with
	return &handler{current: h.current, with: func(inner slog.Handler) slog.Handler {
		if before != nil {
			inner = before(inner)
		}
		return f(inner)
	}}
}
