package caddyjwt

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// tokenID is the id (jti) of a token that was made here, by which logs name it.
func tokenID(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c struct {
		ID string `json:"jti"`
	}
	if json.Unmarshal(text, &c) != nil {
		return ""
	}
	return c.ID
}
