package guest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// problem is an answer of RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	// Code names the problem for programs.
	Code string `json:"code"`

	// Field says where the input is wrong.
	Field string `json:"field,omitempty"`

	// NotBefore and Expires are of a link that is not good now.
	NotBefore *time.Time `json:"not_before,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"`

	*redemption // what came of a press, where one began

	// RetryAfter is in seconds; 0 is none.
	RetryAfter int `json:"-"`
}

func writeProblem(r *request, p *problem) {
	p.Title = http.StatusText(p.Status)
	setRetryAfter(r, p.RetryAfter)
	writeJSON(r, p.Status, "application/problem+json", p)
}

func setRetryAfter(r *request, s int) {
	if s > 0 {
		r.w.Header().Set("Retry-After", strconv.Itoa(s))
	}
}

// seconds rounds up, so that nobody comes too early.
func seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

func writeJSON(r *request, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	body = append(body, '\n')
	header := r.w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		r.w.Write(body) // nobody is left to tell when the guest is gone
	}
}
