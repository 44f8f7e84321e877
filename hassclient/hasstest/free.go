package hasstest

import (
	"encoding/json"
	"strconv"
)

// freeCall is as much of a call_service as [ForBenchmarks] looks at.
type freeCall struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Domain  string `json:"domain"`
	Service string `json:"service"`
}

// free answers calls without carrying them out; false: it is for the others to
// answer, because it is no call, or one that fails.
func (c *conn) free(b []byte) bool {
	calls := make([]freeCall, 1)
	if len(b) > 0 && b[0] == '[' {
		if json.Unmarshal(b, &calls) != nil {
			return false
		}
	} else if json.Unmarshal(b, &calls[0]) != nil {
		return false
	}
	h := c.home
	h.mu.Lock()
	last := c.lastID
	for i := range calls {
		call := &calls[i]
		if call.Type != "call_service" || call.ID <= last || h.services[call.Domain][call.Service] == nil {
			h.mu.Unlock()
			return false
		}
		last = call.ID
	}
	h.mu.Unlock()
	c.lastID = last
	for i := range calls {
		h.ran(calls[i].Domain + "." + calls[i].Service)
		answer := make([]byte, 0, 192)
		answer = append(answer, `{"id":`...)
		answer = strconv.AppendInt(answer, int64(calls[i].ID), 10)
		answer = append(answer, `,"type":"result","success":true,"result":{"context":{"id":"`...)
		answer = append(answer, newULID(h.clock.Now())...)
		answer = append(answer, `","parent_id":null,"user_id":"`...)
		answer = append(answer, c.user.id...)
		c.send(append(answer, `"}}}`...))
	}
	return true
}
