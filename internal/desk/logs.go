package desk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) logRoutes() {
	d.page(pages.PathLog, disclosure.Auditor|disclosure.Admin, d.readLog)
}

// logRows is how many lines a page of the log has.
const logRows = 100

func (d *Desk) readLog(v *visit) error {
	ask := v.URL.Query()
	view := pages.LogView{Desk: d.frame(v, ui.NavLog), Kinds: logKinds,
		Filters: pages.LogFilters{Actor: ask.Get("actor"), Kind: ask.Get("kind"), About: strings.TrimSpace(ask.Get("about"))}}
	rows, err := d.c.DB.Log(v.Context(), v.by, logQuery(view.Filters, number64(ask.Get("before"))))
	if err != nil {
		return err
	}
	members, err := d.c.DB.Members(v.Context(), v.by)
	if err != nil {
		return err
	}
	for _, m := range members {
		view.Actors = append(view.Actors, ui.Option{Value: string(m.ID), Label: m.Name})
	}
	if len(rows) > logRows {
		rows = rows[:logRows]
		ask.Set("before", strconv.FormatInt(rows[logRows-1].N, 10))
		view.Pager.Older = pages.PathLog + "?" + ask.Encode()
	}
	if ask.Get("before") != "" && number64(v.URL.Query().Get("before")) > 0 {
		ask.Del("before")
		view.Pager.Newer = newest(pages.PathLog, ask)
	}
	names := map[string]string{}
	if v.by.Roles&team != 0 && slices.ContainsFunc(rows, func(r postgres.LogRow) bool { return strings.HasPrefix(r.Type, "release.") }) {
		releases, err := d.c.DB.Releases(v.Context(), v.by)
		if err != nil {
			return err
		}
		for _, r := range releases {
			names[string(r.ID)] = r.Title
		}
	}
	for _, r := range rows {
		view.Rows = append(view.Rows, logRow(r, v.by, names))
	}
	return v.render(pages.Log(view))
}

// newest leads back to the beginning of a list.
func newest(path string, ask url.Values) string {
	if q := ask.Encode(); q != "" {
		return path + "?" + q
	}
	return path
}

// logQuery reads what is asked for: a case by its number, anything else by id.
func logQuery(f pages.LogFilters, before int64) postgres.LogQuery {
	q := postgres.LogQuery{Member: disclosure.MemberID(f.Actor), Type: f.Kind, Before: before, Limit: logRows + 1}
	about := strings.TrimPrefix(f.About, "#")
	if n, err := strconv.Atoi(about); err == nil && n > 0 && n < 1<<31 {
		q.Number = n
	} else {
		q.Object = about
	}
	return q
}

// logKinds are the kinds one may ask for; a dot at the end means all of it.
var logKinds = []ui.Option{
	{Value: "case.", Label: "cases"}, {Value: "arrival.", Label: "arrivals"}, {Value: "message.", Label: "messages"}, {Value: "file.", Label: "files"},
	{Value: "release.", Label: "releases"}, {Value: "notice.", Label: "notices"}, {Value: "delivery.", Label: "deliveries"},
	{Value: "directory.", Label: "the private list"}, {Value: "outbox.", Label: "the outbox read"}, {Value: "ledger.", Label: "ledgers read"}, {Value: "member.", Label: "members"},
	{Value: "session.", Label: "sessions"}, {Value: "policy.", Label: "policy"}, {Value: "vault.", Label: "vault"}, {Value: "key.", Label: "keys"},
	{Value: "site.", Label: "the public site"}, {Value: "instance.", Label: "the instance"},
}

// logRow names what a row is about; names are of the releases the caller may see.
func logRow(r postgres.LogRow, by disclosure.Caller, names map[string]string) pages.LogRow {
	row := pages.LogRow{Number: r.N, At: r.At, Actor: r.Actor, Kind: strings.NewReplacer(".", " ", "-", " ").Replace(r.Type), Text: details(r.Details)}
	kind, _, _ := strings.Cut(r.Type, ".")
	switch {
	case r.Number > 0 && r.Part != "":
		row.About, row.Href = r.Part+" in case #"+strconv.Itoa(r.Number), pages.CasePath(r.Number)
	case r.Number > 0:
		row.About, row.Href = "case #"+strconv.Itoa(r.Number), pages.CasePath(r.Number)
	case kind == "release":
		row.About, row.Href = "release "+cmp.Or(names[r.Object], short(r.Object)), pages.ReleasePath(disclosure.ReleaseID(r.Object))
	case r.Object != "":
		row.About = short(r.Object)
	}
	if by.Roles&team == 0 {
		row.Href = "" // an auditor reads the log, not what it is about
	}
	return row
}

// short is enough of an id to tell one from another.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// details writes what was noted as words: "recipients 3, digest 05af…".
func details(text string) string {
	var noted map[string]any
	if text == "" || json.Unmarshal([]byte(text), &noted) != nil {
		return text
	}
	var parts []string
	for name, value := range noted {
		if list, ok := value.([]any); ok {
			var words []string
			for _, x := range list {
				words = append(words, fmt.Sprint(x))
			}
			value = strings.Join(words, ", ")
		}
		parts = append(parts, fmt.Sprintf("%s %v", strings.ReplaceAll(name, "_", " "), value))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func number64(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// number is -1, which no version is, for what is none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}
