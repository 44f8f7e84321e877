package caddyjwt

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
)

// maxForm is how much of a request to log in is read. Home Assistant reads no
// more of one either.
const maxForm = 64 << 10

var errForm = errors.New("not a form that is sure to be read alike by everybody")

// readForm reads a request's form and leaves the request as it was. What Home
// Assistant might read otherwise is an error.
func readForm(r *http.Request) (url.Values, error) {
	if r.Body == nil {
		return nil, errForm
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	rest := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), rest}
	if err != nil {
		return nil, err
	}
	if len(text) > maxForm || len(r.Header.Values("Content-Type")) != 1 || r.Header.Get("Content-Encoding") != "" {
		return nil, errForm
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, errForm
	}
	var form url.Values
	switch kind {
	case "application/x-www-form-urlencoded":
		if charset := params["charset"]; charset != "" && charset != "utf-8" && charset != "UTF-8" {
			return nil, errForm
		}
		if form, err = url.ParseQuery(string(text)); err != nil {
			return nil, errForm
		}
	case "multipart/form-data":
		if form, err = readParts(text, params["boundary"]); err != nil {
			return nil, err
		}
	default:
		return nil, errForm
	}
	for _, values := range form {
		if len(values) != 1 {
			return nil, errForm
		}
	}
	return form, nil
}

func readParts(text []byte, boundary string) (url.Values, error) {
	form := make(url.Values)
	parts := multipart.NewReader(bytes.NewReader(text), boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return form, nil
		}
		if err != nil || part.FormName() == "" || part.FileName() != "" || len(form) > 32 {
			return nil, errForm
		}
		for name := range part.Header {
			if name != "Content-Disposition" && name != "Content-Type" && name != "Content-Length" {
				return nil, errForm
			}
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, errForm
		}
		form.Add(part.FormName(), string(value))
	}
}
