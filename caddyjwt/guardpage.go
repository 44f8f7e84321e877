package caddyjwt

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"sync"
)

// guardPage is a page at the service's own address, where no file of ours is: it
// brings its style along. Its texts are keys as those of a loginPage.
type guardPage struct {
	Title, Text, Detail string
	Who                 string // not a key
	Link, LinkText      string
	NewTab              bool // the page is within another one
}

// guardParts are the template, the style, and its hash for the policy.
var guardParts = sync.OnceValues(func() (*template.Template, [2]string) {
	style, err := assets.ReadFile("assets/return.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	sum := sha256.Sum256(style)
	return template.Must(template.ParseFS(assets, "assets/guard.html")),
		[2]string{string(style), "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}
})

func (p guardPage) write(w http.ResponseWriter, r *http.Request, status int) error {
	page, style := guardParts()
	l := languageOf(r)
	data := struct {
		guardPage
		Lang, Dir string
		Style     template.CSS
	}{p, l.Tag(), l.Dir(), template.CSS(style[0])} //nolint:gosec // our own file
	data.Title, data.Text, data.Detail, data.LinkText = say(l, p.Title), say(l, p.Text), say(l, p.Detail), say(l, p.LinkText)
	policy := "default-src 'none'; style-src " + style[1] + "; base-uri 'none'; form-action 'none'"
	if !p.NewTab {
		policy += "; frame-ancestors 'none'"
	}
	return answerPage(w, r, status, page, data, l.Tag(), policy, "Accept-Language, Sec-Fetch-Dest")
}
