package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/policy"
	"postern/internal/server"
)

// TestD3NothingPublicShowsACase: with cases in every state before disclosure no
// anonymous answer of either door shows one, by word, by address, by id, or by
// answering otherwise where there is something than where there is nothing.
func TestD3NothingPublicShowsACase(t *testing.T) {
	w := world.New(t, world.Config{})
	s := &secrets{World: w, ctx: context.Background()}
	s.arriveLocked(t)
	crawl(t, s, "while the vault is locked")
	s.opened(t)
	w.Settle()
	s.triage(t)
	s.accept(t)
	s.embargo(t)
	w.Settle()
	w.Ready()
	crawl(t, s, "with a case under embargo")
}

// TestC9NotTheNormalTracker is the crawl of D3 under the other policy.
func TestC9NotTheNormalTracker(t *testing.T) {
	text, err := policy.Preset("pyca-cryptography")
	check(t, err)
	w := world.New(t, world.Config{Policy: strings.Replace(text, "security@cryptography.example", "security@lantern.example", 1)})
	s := &secrets{World: w, ctx: context.Background()}
	for range 2 {
		s.post(t, "/api/v1/reports", disclosure.ReportJSON{Title: canary + "title", Description: canary + "description", Name: canary + "name",
			Address: canary + "@reporter.example", Files: []disclosure.FileJSON{{Name: canary + "file.txt", Type: "text/plain", Data: []byte(canary + "bytes")}}})
	}
	w.Settle()
	s.change(t, 1, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error { return c.Acknowledge(by, now) })
	s.change(t, 1, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error { return c.Accept(by, now) })
	s.change(t, 2, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		return c.Close(disclosure.FilePublicly, "", "", by, now)
	})
	w.Settle()
	crawl(t, s, "with a case accepted and one closed")
}

// ids are the names of all that exists: by parameter of a route, and all together.
func (s *secrets) ids(t *testing.T) (byName map[string][]string, all []string) {
	t.Helper()
	byName = map[string][]string{}
	column := func(param, sql string) {
		t.Helper()
		rows, err := s.DB.Pool().Query(s.ctx, sql)
		check(t, err)
		defer rows.Close()
		for rows.Next() {
			var id string
			check(t, rows.Scan(&id))
			byName[param] = append(byName[param], id)
			if len(id) > 8 {
				all = append(all, id)
			}
		}
	}
	column("n", `SELECT number::text FROM cases`)
	column("case", `SELECT id FROM cases`)
	column("file", `SELECT id FROM file`)
	column("arrival", `SELECT id FROM arrival`)
	column("release", `SELECT id FROM release`)
	column("notice", `SELECT id FROM notice`)
	column("message", `SELECT id FROM message`)
	column("reporter", `SELECT id FROM reporter`)
	column("mailbox", `SELECT id FROM mailbox`)
	for _, n := range byName["n"] {
		var number int
		fmt.Sscan(n, &number)
		c, err := s.DB.CaseByNumber(s.ctx, s.ada(), number)
		if err == nil && c.PublicName != "" {
			byName["name"] = append(byName["name"], c.PublicName)
			all = append(all, c.PublicName)
		}
	}
	return byName, all
}

// neighbors are what somebody tries who knows one name.
func neighbors(id string) []string {
	last := id[len(id)-1]
	next := last + 1
	if last == '9' || last == 'z' || last == 'f' {
		next = '0'
	}
	return []string{id[:len(id)-1] + string(next), strings.ToUpper(id)}
}

// crawl asks both doors as a stranger: every route of the routers' own walk
// with names that exist, their neighbors, and one that names nothing, and every
// address that a public page leads to.
func crawl(t *testing.T, s *secrets, when string) {
	t.Helper()
	byName, all := s.ids(t)
	looked := map[string]bool{} // most answers are the same few
	innocent := func(what, answer string) {
		t.Helper()
		if looked[answer] {
			return
		}
		looked[answer] = true
		for _, sight := range sightings([]byte(answer)) {
			t.Errorf("%s, %s shows %s", when, what, sight)
		}
		for _, id := range all {
			if strings.Contains(answer, id) {
				t.Errorf("%s, %s holds the name %q", when, what, id)
			}
		}
	}
	asked := 0
	for _, door := range []struct {
		name, url string
		routes    []server.Route
	}{{"gate", s.GateURL, s.Gate.Routes()}, {"desk", s.DeskURL, s.Desk.Routes()}} {
		routes := door.routes
		for _, guess := range []string{"/sitemap.xml", "/robots.txt", "/cases", "/cases/1.json", "/api/v1/reports/1", "/api/v1/cases", "/feed.json"} {
			routes = append(slices.Clip(routes), server.Route{Method: http.MethodGet, Pattern: guess})
		}
		for _, route := range routes {
			pattern := route.Pattern
			i := strings.IndexByte(pattern, '{')
			if route.Method == http.MethodHead || i < 0 && route.Method != http.MethodGet {
				continue
			}
			if i < 0 {
				for _, p := range paths(pattern, nil) {
					innocent(door.name+" "+p, ask(t, http.MethodGet, door.url+p, "", ""))
				}
				continue
			}
			name, _, _ := strings.Cut(pattern[i+1:i+strings.IndexByte(pattern[i:], '}')], ":")
			tried := slices.Clone(byName[name])
			if tried == nil { // a parameter of another name: whatever exists
				for _, list := range byName {
					tried = append(tried, list[0])
				}
			}
			tried = tried[:min(len(tried), 2)]
			for _, id := range slices.Clone(tried) {
				tried = append(tried, neighbors(id)...)
			}
			answer := func(id string) string {
				p := paths(strings.Replace(pattern, pattern[i:i+strings.IndexByte(pattern[i:], '}')+1], id, 1), nil)[0]
				got := ask(t, route.Method, door.url+p, "", "")
				asked++
				for _, form := range []string{url.QueryEscape(p), p} {
					got = strings.ReplaceAll(got, form, "…")
				}
				return contentLength.ReplaceAllString(got, "Content-Length: …")
			}
			want := answer("nothing-here")
			for _, id := range tried {
				got := answer(id)
				innocent(door.name+" "+pattern, got)
				if got != want {
					t.Errorf("%s, %s %s %s with %q answers otherwise than with what is nothing:\n%s", when, route.Method, door.name, pattern, id, difference(want, got))
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("%s, only %d answers with names were looked at", when, asked)
	}
	// What public pages lead to.
	seen, queue := map[string]bool{}, []string{"/", "/report", "/mailbox", "/upcoming", "/advisories", "/feed.atom", "/.well-known/security.txt", "/robots.txt", "/sitemap.xml"}
	for len(queue) > 0 && len(seen) < 300 {
		at := queue[0]
		queue = queue[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		p := s.Visit(s.GateURL).Get(at)
		innocent("the page "+at, string(p.Body))
		for _, l := range p.Links() {
			to, err := p.URL.Parse(l)
			if err == nil && "http://"+to.Host == s.GateURL {
				queue = append(queue, to.Path)
			}
		}
	}
	if len(seen) < 9 {
		t.Errorf("%s, the crawl saw only %d pages", when, len(seen))
	}
}
