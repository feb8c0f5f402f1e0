package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/server"
	"postern/internal/vault"
)

// answers is every answer a stranger can get: each route of both doors, from
// the routers' own walk, by each method, with what a stranger might send.
func answers(t *testing.T, w *world.World, code string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, door := range []struct {
		name, url string
		routes    []server.Route
	}{{"gate", w.GateURL, w.Gate.Routes()}, {"desk", w.DeskURL, w.Desk.Routes()}} {
		known := map[string][]string{"n": {"1"}}
		for _, pattern := range append(patterns(door.routes), "/no/such/page", "/robots.txt", "/favicon.ico", "/.git/config") {
			for _, p := range paths(pattern, known) {
				all[door.name+" GET "+p] = ask(t, http.MethodGet, door.url+p, "", "")
				all[door.name+" HEAD "+p] = ask(t, http.MethodHead, door.url+p, "", "")
				all[door.name+" POST form "+p] = ask(t, http.MethodPost, door.url+p, "", "application/x-www-form-urlencoded")
				all[door.name+" POST JSON "+p] = ask(t, http.MethodPost, door.url+p, "{}", "application/json")
			}
		}
		if len(all) < 30 {
			t.Fatalf("the %s has %d answers", door.name, len(all))
		}
	}
	// A code that names nothing.
	all["gate code form"] = ask(t, http.MethodPost, w.GateURL+"/mailbox", "code="+strings.ReplaceAll(code, " ", "+"), "application/x-www-form-urlencoded")
	all["gate code API"] = ask(t, http.MethodPost, w.GateURL+"/api/v1/mailbox", `{"code":"`+code+`"}`, "application/json")
	return all
}

// compare names every answer that differs, but for those allowed to.
func compare(t *testing.T, when string, before, after map[string]string, allowed func(string) bool) {
	t.Helper()
	for name, was := range before {
		if is := after[name]; is != was && !allowed(name) {
			t.Errorf("%s, %s differs:\n%s", when, name, difference(was, is))
		}
	}
	if len(before) != len(after) {
		t.Errorf("%s, there are %d answers instead of %d", when, len(after), len(before))
	}
}

// difference shows the first line that is not the same.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		var l, r string
		if i < len(x) {
			l = x[i]
		}
		if i < len(y) {
			r = y[i]
		}
		if l != r {
			k := 0
			for k < min(len(l), len(r)) && l[k] == r[k] {
				k++
			}
			return "- …" + l[max(0, k-80):min(k+200, len(l))] + "\n+ …" + r[max(0, k-80):min(k+200, len(r))]
		}
	}
	return "(nothing)"
}

func nothing(string) bool { return false }

// TestWorlds compares an instance with embargoed cases to the same without:
// no anonymous answer tells one from the other.
func TestWorlds(t *testing.T) {
	w := world.New(t, world.Config{})
	unknown := strings.Join(vault.NewCode().Words(), " ")
	without := answers(t, w, unknown)
	compare(t, "asked again with nothing changed", without, answers(t, w, unknown), nothing)

	ctx := context.Background()
	var code string
	for range 4 {
		var receipt struct{ Code string }
		p := w.Visit(w.GateURL)
		r, _ := http.NewRequest(http.MethodPost, w.GateURL+"/api/v1/reports", strings.NewReader(`{"title":"`+jobTitle+`","description":"`+jobSecret+`"}`))
		r.Header.Set("Content-Type", "application/json")
		if err := json.Unmarshal(p.Do(r).Body, &receipt); err != nil || receipt.Code == "" {
			t.Fatalf("report: %v", err)
		}
		code = receipt.Code
	}
	(&secrets{World: w, ctx: ctx}).apply(t, "unmarked-")
	compare(t, "with reports that wait", without, answers(t, w, unknown), nothing)
	// The code of a report not yet opened answers as one that names nothing.
	for name, ask := range map[string]string{
		"gate code form": ask(t, http.MethodPost, w.GateURL+"/mailbox", "code="+strings.ReplaceAll(code, " ", "+"), "application/x-www-form-urlencoded"),
		"gate code API":  ask(t, http.MethodPost, w.GateURL+"/api/v1/mailbox", `{"code":"`+code+`"}`, "application/json"),
	} {
		got := maskCode(ask, code)
		if want := maskCode(without[name], unknown); got != want {
			t.Errorf("%s of a report not yet opened:\n%s", name, difference(want, got))
		}
	}

	w.Settle()
	s := &secrets{World: w, ctx: ctx}
	// One in every state; the fourth stays received.
	s.accept2(t)
	s.decide(t, "unmarked-")
	compare(t, "with cases in every state before disclosure", without, answers(t, w, unknown), nothing)
	s.embargo(t)
	w.Settle()
	check(t, w.DB.StartSending(ctx, s.ada(), s.approve(t, disclosure.ToDistributors), nil))
	w.Settle()
	w.Ready()
	compare(t, "with distributors told", without, answers(t, w, unknown), nothing)

	// A pre-announcement adds exactly its own text.
	notice := s.approve(t, disclosure.ToAnnounceAhead)
	check(t, w.DB.StartSending(ctx, s.ada(), notice, nil))
	w.Settle()
	w.Ready()
	told := answers(t, w, unknown)
	upcoming := func(name string) bool {
		return strings.HasSuffix(name, " /upcoming")
	}
	compare(t, "with a pre-announcement sent", without, told, upcoming)
	r, err := w.DB.Release(ctx, s.ada(), s.release)
	check(t, err)
	var text string
	for _, n := range r.Notices {
		if n.ID == notice {
			text = n.Text
		}
	}
	page := told["gate GET /upcoming"]
	if !strings.Contains(page, strings.TrimSpace(text)) {
		t.Errorf("/upcoming does not show the text that was sent, %q:\n%s", text, page)
	}
	for _, word := range []string{jobTitle, jobSecret, canary, string(s.release)} {
		if strings.Contains(page, word) {
			t.Errorf("/upcoming shows %q", word)
		}
	}
}

func maskCode(text, code string) string {
	words := strings.Fields(code)
	for _, form := range []string{code, strings.Join(words, "-"), strings.Join(words, "+")} {
		text = strings.ReplaceAll(text, form, "…")
	}
	return contentLength.ReplaceAllString(etag.ReplaceAllString(text, "Etag: …"), "Content-Length: …")
}

// accept2 brings the four reports of the worlds to the states before disclosure.
func (s *secrets) accept2(t *testing.T) {
	t.Helper()
	s.change(t, 1, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error { return c.Acknowledge(by, now) })
	s.accept(t)
	s.change(t, 2, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		return c.Close(disclosure.Spam, "", "", by, now)
	})
	s.change(t, 3, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		if err := c.Acknowledge(by, now); err != nil {
			return err
		}
		return c.Restrict([]disclosure.MemberID{by.Member}, by, now)
	})
}
