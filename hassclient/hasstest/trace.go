package hasstest

import (
	"maps"
	"time"
)

// traces is how many runs of each script a home remembers.
const traces = 5

// trace is what is known of a run of a script. It tells an aborted run from a
// finished one, which the caller of the script cannot see.
type trace struct {
	runID         string
	ctx           Context
	lastStep      string
	execution     string         // "finished", "aborted", "error", "cancelled", "failed_single", …; "" while it runs
	last          map[string]any // what the last step came to: "result" or "error"
	start, finish time.Time
}

func (t *trace) json(name string) map[string]any {
	m := map[string]any{
		"run_id": t.runID, "domain": "script", "item_id": name, "last_step": orNil(t.lastStep), "state": "running",
		"script_execution": orNil(t.execution), "timestamp": map[string]any{"start": isoTime(t.start), "finish": nil},
	}
	if t.execution != "" {
		m["state"] = "stopped"
		m["timestamp"] = map[string]any{"start": isoTime(t.start), "finish": isoTime(t.finish)}
	}
	return m
}

func traceList(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []any{}
	for name, s := range h.scripts {
		if msg["domain"] == "script" && (msg["item_id"] == nil || msg["item_id"] == name) {
			for _, t := range s.traces {
				list = append(list, t.json(name))
			}
		}
	}
	c.result(id, list)
	return true
}

func traceContexts(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	byContext := map[string]any{}
	for name, s := range h.scripts {
		if msg["item_id"] == nil || msg["domain"] == "script" && msg["item_id"] == name {
			for _, t := range s.traces {
				byContext[t.ctx.ID] = map[string]any{"run_id": t.runID, "domain": "script", "item_id": name}
			}
		}
	}
	c.result(id, byContext)
	return true
}

func traceGet(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	name, _ := msg["item_id"].(string)
	s := h.scripts[name]
	if msg["domain"] == "script" && s != nil {
		for _, t := range s.traces {
			if t.runID != msg["run_id"] {
				continue
			}
			m := t.json(name)
			steps := map[string]any{}
			if t.lastStep != "" {
				step := map[string]any{"path": t.lastStep, "timestamp": isoTime(t.finish)}
				maps.Copy(step, t.last)
				steps[t.lastStep] = []any{step}
			}
			m["trace"], m["blueprint_inputs"], m["context"] = steps, nil, t.ctx
			m["config"] = map[string]any{"sequence": s.Sequence}
			c.result(id, m)
			return true
		}
	}
	c.fail(id, &failure{code: "not_found", message: "The trace could not be found"})
	return true
}
