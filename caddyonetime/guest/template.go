package guest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"sync"
)

//go:embed assets/page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps a rare large page from staying in memory.
const maxPooled = 64 << 10

// writePage answers with a page. It is whole before its first byte goes out.
func (h *Handler) writePage(r *request, status int, p *page) {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	defer func() {
		if b.Cap() <= maxPooled {
			buffers.Put(b)
		}
	}()
	if err := pageTemplate.Execute(b, p); err != nil {
		panic(err) // the template and its data are our own
	}
	header := r.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", p.Lang)
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		r.w.Write(b.Bytes()) // nobody is left to tell when the guest is gone
	}
}
