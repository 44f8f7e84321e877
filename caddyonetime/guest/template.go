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

// What differs each time a page is written has a place of its own in it, which
// nobody outside can guess: the server's clock, and a fresh key for each form.
var (
	nowHere   = newNonce()
	nonceHere = newNonce()
)

// rendered is a page cut at those places.
type rendered struct {
	parts [][]byte
	now   int // the part before the clock; the others are before keys
	size  int // of the whole
}

const (
	nowSize   = 13 // milliseconds since 1970, until the year 2286
	nonceSize = 32
)

// pages remembers what was rendered: people look at the same page again and
// again, and their phones ask for it every few seconds.
var pages struct {
	sync.RWMutex
	m map[string]*rendered
}

// Bounds of what is remembered.
const (
	maxPages   = 512
	maxPageKey = 4 << 10
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// render returns the page as HTML. A page of the same key is the same page.
func render(p *page) *rendered {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	p.key(b)
	pages.RLock()
	done := pages.m[string(b.Bytes())]
	pages.RUnlock()
	if done != nil {
		return done
	}
	key := b.String()
	b.Reset()
	if err := pageTemplate.Execute(b, p); err != nil {
		panic(err) // the template and its data are our own
	}
	done = cut(bytes.Clone(b.Bytes()))
	if len(key) <= maxPageKey {
		pages.Lock()
		if pages.m == nil || len(pages.m) >= maxPages {
			pages.m = make(map[string]*rendered)
		}
		pages.m[key] = done
		pages.Unlock()
	}
	return done
}

func cut(html []byte) *rendered {
	r := &rendered{}
	for {
		now, nonce := bytes.Index(html, []byte(nowHere)), bytes.Index(html, []byte(nonceHere))
		at, size := nonce, nonceSize
		if now >= 0 && (nonce < 0 || now < nonce) {
			at, size = now, nowSize
			r.now = len(r.parts)
		}
		if at < 0 {
			r.parts = append(r.parts, html)
			r.size += len(html)
			return r
		}
		r.parts = append(r.parts, html[:at])
		r.size += at + size
		html = html[at+len(nonceHere):]
	}
}

// writePage answers with a page. It is whole before its first byte goes out.
func (h *Handler) writePage(r *request, status int, p *page) {
	done := render(p)
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	for i, part := range done.parts {
		b.Write(part)
		switch i {
		case len(done.parts) - 1:
		case done.now:
			b.Write(strconv.AppendInt(b.AvailableBuffer(), p.Now, 10))
		default:
			b.WriteString(newNonce())
		}
	}
	header := r.w.Header()
	header["Content-Type"] = pageType
	header["Content-Language"] = p.static.header
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		r.w.Write(b.Bytes()) // nobody is left to tell when the guest is gone
	}
}

var pageType = []string{"text/html; charset=utf-8"}

// key writes all that the page shows, so that two pages of one key are one.
func (p *page) key(b *bytes.Buffer) {
	put := func(s string) {
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(len(s)), 10))
		b.WriteByte(':')
		b.WriteString(s)
	}
	putHTML := func(s template.HTML) { put(string(s)) }
	number := func(n int64) { b.Write(strconv.AppendInt(b.AvailableBuffer(), n, 10)); b.WriteByte(';') }
	flag := func(f bool) {
		if f {
			b.WriteByte('y')
		} else {
			b.WriteByte('n')
		}
	}
	put(p.Lang)
	put(p.Root)
	put(p.To)
	put(p.State)
	put(p.Poll)
	put(p.House)
	putHTML(p.Mark)
	putHTML(p.Title)
	number(int64(len(p.Lines)))
	for i := range p.Lines {
		l := &p.Lines[i]
		putHTML(l.Text)
		put(l.Role)
		put(l.Class)
	}
	flag(p.Quote != nil)
	if p.Quote != nil {
		put(p.Quote.Text)
		put(p.Quote.By)
		flag(p.Quote.Long)
	}
	putHTML(p.Alert)
	putHTML(p.Limits)
	number(int64(len(p.Items)))
	for i := range p.Items {
		it := &p.Items[i]
		put(it.To)
		put(it.Name)
		put(it.Seen)
		putHTML(it.Icon)
		putHTML(it.Label)
		flag(it.Busy)
		flag(it.Ask)
		flag(it.Open)
		putHTML(it.Question)
		putHTML(it.Last)
		putHTML(it.Text)
		putHTML(it.Left)
		number(it.Until)
		flag(it.Late)
	}
	putHTML(p.Hint)
	flag(p.Code != nil)
	if p.Code != nil {
		put(p.Code.To)
		putHTML(p.Code.Label)
		putHTML(p.Code.Continue)
		number(p.Code.Until)
	}
	putHTML(p.Again)
	number(int64(len(p.Links)))
	for i := range p.Links {
		put(string(p.Links[i].URL))
		putHTML(p.Links[i].Label)
		putHTML(p.Links[i].Icon)
	}
	flag(p.Solid)
	putHTML(p.Nobody)
}
