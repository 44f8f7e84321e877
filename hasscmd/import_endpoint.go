package hasscmd

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hasscmd/internal/onetimeservice"
)

// importReport is what the endpoint answers to an import, and the command
// prints with --json.
type importReport struct {
	DryRun  bool             `json:"dry_run"`
	Actions []importedAction `json:"actions"`
	Tokens  []importedToken  `json:"tokens"`
}

// importedAction: result is imported, present (it was there already) or refused,
// with the reason.
type importedAction struct {
	Result     onetime.Imported `json:"result"`
	From       string           `json:"from"`
	Name       string           `json:"name,omitempty"`
	Title      string           `json:"title,omitempty"`
	Definition string           `json:"definition,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Warnings   []string         `json:"warnings,omitempty"`
}

// importedToken: id and url are missing where it was refused and in a dry run,
// the links where nobody has asked for them.
type importedToken struct {
	Result   onetime.Imported `json:"result"`
	ID       string           `json:"id,omitempty"`
	From     string           `json:"from"` // the action, as it was called
	Action   string           `json:"action,omitempty"`
	Guest    string           `json:"guest,omitempty"`
	Comment  string           `json:"comment"`
	Status   onetime.Status   `json:"status,omitempty"`
	UsesMax  *int             `json:"uses_max"`
	UsesLeft *int             `json:"uses_left"`
	Expires  *time.Time       `json:"expires"`
	Created  *time.Time       `json:"created_at"`
	OldLink  bool             `json:"old_link"` // it works
	OldURL   string           `json:"old_url,omitempty"`
	URL      string           `json:"url,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Changed  string           `json:"changed,omitempty"`
}

// importOneTimeService takes over the db.json in the request's body.
func (a *Admin) importOneTimeService(w http.ResponseWriter, r *http.Request) {
	app, err := onetimeApp()
	if err != nil {
		writeError(w, err)
		return
	}
	query := r.URL.Query()
	links := query.Get("links") == "true"
	if links {
		if _, err := app.Link(""); err != nil {
			writeError(w, &problem{Status: http.StatusConflict, Code: "no_public_url", Detail: err.Error()})
			return
		}
	}
	batch, err := onetimeservice.Read(r.Body)
	if err != nil {
		writeError(w, &problem{Status: http.StatusUnprocessableEntity, Code: "bad_file",
			Detail: "The file cannot be taken over: " + err.Error() + ". Nothing was changed."})
		return
	}
	svc, err := app.Service(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	visitor, _ := commandLine(r)
	report, err := svc.Import(r.Context(), visitor.Person, batch, onetime.ImportOptions{
		Home:      query.Get("home"),
		DryRun:    query.Get("dry_run") == "true",
		SkipCheck: query.Get("skip_check") == "true",
	})
	if errors.Is(err, onetime.ErrUnreachable) {
		err = &problem{Status: http.StatusServiceUnavailable, Code: "unreachable",
			Detail: fmt.Sprintf("The home has to be asked whether it can do these actions, and cannot be: %v. Nothing was changed. Try again when it is there, or take everything over unasked with --skip-check.", err)}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	out := &importReport{DryRun: report.DryRun, Actions: []importedAction{}, Tokens: []importedToken{}}
	for _, a := range report.Actions {
		out.Actions = append(out.Actions, importedAction(a))
	}
	for _, t := range report.Tokens {
		one, err := tokenReport(&t, svc, func(code string) (string, error) {
			if !links {
				return "", nil
			}
			return app.Link(code)
		})
		if err != nil {
			writeError(w, err)
			return
		}
		out.Tokens = append(out.Tokens, *one)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, out)
}

// tokenReport tells of a token as it stands now. link returns "" where links
// are not to be told.
func tokenReport(t *onetime.TokenImport, svc *onetime.Service, link func(code string) (string, error)) (*importedToken, error) {
	out := &importedToken{
		Result: t.Result, From: t.Batch.Action, Comment: t.Batch.Comment,
		Expires: t.Batch.Expires, Reason: t.Reason, Changed: t.Changed,
	}
	if !t.Batch.Created.IsZero() {
		out.Created = &t.Batch.Created
	}
	if t.Token == nil {
		if t.Batch.Refused == "" {
			out.UsesMax, out.UsesLeft = &t.Batch.UsesMax, &t.Batch.UsesLeft
		}
		return out, nil
	}
	out.ID, out.Guest, out.Comment, out.Status = t.Token.ID, t.Token.Guest, t.Token.Comment, t.Status
	out.UsesMax, out.Expires = t.Token.UsesMax, t.Token.Expires
	out.OldLink = t.Token.Foreign != nil && t.Token.Foreign.Ended == nil
	if len(t.Token.Actions) == 1 {
		out.Action, out.UsesLeft = t.Token.Actions[0], t.Token.Left(t.Token.Actions[0])
	}
	if t.Token.ID == "" { // a dry run's
		return out, nil
	}
	var err error
	if out.URL, err = link(svc.Code(t.Token)); err != nil {
		return nil, err
	}
	if code, ok := svc.ForeignCode(t.Token); ok {
		out.OldURL, err = link(code)
	}
	return out, err
}

// endOldLinks switches links that were taken over off: those with the ids in the
// query, or all.
func (a *Admin) endOldLinks(w http.ResponseWriter, r *http.Request) {
	svc, err := service(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	visitor, _ := commandLine(r)
	ids := r.URL.Query()["id"]
	if len(ids) == 0 && r.URL.Query().Get("all") != "true" {
		writeError(w, &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Detail: "Say which old links to switch off."})
		return
	}
	ended, err := svc.EndForeign(r.Context(), visitor.Person, ids...)
	if errors.Is(err, onetime.ErrNotFound) {
		err = &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "One of these ids is no link's. Nothing was changed."}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"ended": append([]string{}, ended...)})
}
