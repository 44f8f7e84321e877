package hasstest

import "time"

// traces is how many runs of each script a home remembers.
const traces = 5

// trace is what is known of a run of a script. It tells an aborted run from a
// finished one, which the caller of the script cannot see.
type trace struct {
	runID, contextID string
	lastStep         string
	execution        string // "finished", "aborted", "error", "cancelled"; "" while it runs
	start, finish    time.Time
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
				byContext[t.contextID] = map[string]any{"run_id": t.runID, "domain": "script", "item_id": name}
			}
		}
	}
	c.result(id, byContext)
	return true
}
