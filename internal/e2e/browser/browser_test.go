// Package browser looks at every page as people do: in Chromium, by mouse and
// by keyboard, wide and narrow, light and dark, with script and without.
package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// page is one page in one state.
type page struct {
	name   string // of the picture
	at     string // address; empty: do leads there
	do     func(b *world.Tab)
	status int // 0: 200
}

// gatePages are the public's.
func gatePages(w *world.World) []page {
	list := []page{
		{name: "gate-home", at: "/"}, {name: "gate-report", at: "/report"}, {name: "gate-request", at: "/notifications/request"}, {name: "gate-mailbox", at: "/mailbox"},
		{name: "gate-upcoming", at: "/upcoming"}, {name: "gate-advisories", at: "/advisories"},
		{name: "gate-not-found", at: "/no/such/page", status: 404},
		{name: "gate-request-empty", do: func(b *world.Tab) {
			b.Open(w.GateURL + "/notifications/request")
			b.Type("#why", "To build in time.")
			b.Submit(`form[action="/notifications/request"]`)
		}},
		{name: "gate-report-empty", do: func(b *world.Tab) {
			b.Open(w.GateURL + "/report")
			b.Type("#address", "no address")
			b.Type("#own_key", "no key")
			b.Submit(`form[action="/report"]`)
		}},
		{name: "gate-receipt", do: func(b *world.Tab) { report(b, w, "A page for the picture of a receipt.") }},
		{name: "gate-mailbox-open", do: func(b *world.Tab) { mailbox(b, w, w.Sample.Reports[0].Code) }},
		{name: "gate-mailbox-unknown", do: func(b *world.Tab) { mailbox(b, w, "not a code of ours") }, status: 422},
	}
	for i := range list {
		if list[i].at != "" {
			list[i].at = w.GateURL + list[i].at
		}
	}
	if docs := w.Visit(w.GateURL).Get("/advisories").Links(); docs != nil {
		for _, l := range docs {
			if strings.HasPrefix(l, "/advisories/") {
				return append(list, page{name: "gate-advisory", at: w.GateURL + l})
			}
		}
	}
	w.T.Fatal("the demo's gate lists no advisory")
	return nil
}

// deskPages are the team's, for a member who has every role.
func deskPages(w *world.World) []page {
	list := []page{
		{name: "desk-inbox", at: "/inbox"}, {name: "desk-inbox-all", at: "/inbox?state=all"}, {name: "desk-inbox-none", at: "/inbox?q=nothing-is-called-so"},
		{name: "desk-figures", at: "/figures"}, {name: "desk-figures-quarters", at: "/figures?by=quarter"},
		{name: "desk-releases", at: "/releases"}, {name: "desk-distributors", at: "/distributors"}, {name: "desk-distributor-new", at: "/distributors/new"},
		{name: "desk-applications", at: "/applications"}, {name: "desk-application", at: "/applications/1"},
		{name: "desk-application-letter", at: "/applications/1?letter=application-declined"}, {name: "desk-distributor-applicant", at: "/distributors/new?application=1"},
		{name: "desk-outbox", at: "/outbox"}, {name: "desk-health", at: "/health"}, {name: "desk-members", at: "/members"}, {name: "desk-log", at: "/log"},
		{name: "desk-policy", at: "/policy"}, {name: "desk-vault", at: "/vault"}, {name: "desk-account", at: "/account"}, {name: "desk-step-up", at: "/step-up"},
		{name: "desk-not-found", at: "/no/such/page", status: 404}, {name: "desk-no-case", at: "/cases/4711", status: 404},
	}
	for _, r := range w.Sample.Reports {
		switch r.Name {
		case "session", "header", "slow", "zone", "debug", "mirror", "damaged", "new", "newest", "overdue":
			list = append(list, page{name: "desk-case-" + r.Name, at: fmt.Sprintf("/cases/%d", r.Case)})
		}
	}
	v := w.SignedIn("Ada")
	for _, name := range []string{"public", "told", "next", "draft", "off"} {
		id := w.Sample.Release(name)
		at := "/releases/" + string(id)
		list = append(list, page{name: "desk-release-" + name, at: at})
		if name == "told" {
			list = append(list, page{name: "desk-postpone", at: at + "/postpone"}, page{name: "desk-call-off", at: at + "/call-off"}, page{name: "desk-publish", at: at + "/publish"})
		}
		if name != "told" && name != "next" {
			continue
		}
		for i, l := range notices(v.Get(at).OK().Links()) {
			list = append(list, page{name: fmt.Sprintf("desk-notice-%s-%d", name, i), at: l})
			if i == 0 && name == "next" {
				list = append(list, page{name: "desk-preview", at: l + "/preview"}, page{name: "desk-send", at: l + "/send"})
			}
		}
	}
	list = append(list, page{name: "desk-distributor", at: "/distributors/" + string(w.Sample.Distributors[0].ID)})
	for _, found := range []struct{ name, on, prefix string }{
		{"desk-file", fmt.Sprintf("/cases/%d", w.Sample.Reports[0].Case), "/cases/"}, {"desk-mail", "/outbox", "/outbox/"},
	} {
		for _, l := range v.Get(found.on).OK().Links() {
			if strings.HasPrefix(l, found.prefix) && (found.name != "desk-file" || strings.Contains(l, "/files/") && !strings.HasSuffix(l, "/download")) {
				list = append(list, page{name: found.name, at: l})
				break
			}
		}
	}
	for i := range list {
		list[i].at = w.DeskURL + list[i].at
	}
	return list
}

func notices(links []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, l := range links {
		if strings.Contains(l, "/notices/") && strings.Count(l, "/") == 4 && !strings.Contains(l, "#") && !seen[l] {
			seen[l], list = true, append(list, l)
		}
	}
	return list
}

func report(b *world.Tab, w *world.World, text string) int {
	b.Open(w.GateURL + "/report")
	b.Type("#description", text)
	return b.Submit(`form[action="/report"]`)
}

func mailbox(b *world.Tab, w *world.World, code string) int {
	b.Open(w.GateURL + "/mailbox")
	b.Type(`form[action="/mailbox"] [name="code"]`, code)
	return b.Submit(`form[action="/mailbox"]`)
}

// visit brings a tab to a page.
func visit(b *world.Tab, p page) {
	if p.do != nil {
		p.do(b)
		return
	}
	want := p.status
	if want == 0 {
		want = 200
	}
	if got := b.Open(p.at); got != want {
		b.T.Errorf("%s answers %d, want %d: %s", p.name, got, want, b.Text())
	}
}

// TestJourneys goes the ways people go.
func TestJourneys(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{Demo: true})

	t.Run("reporter", func(t *testing.T) {
		for _, c := range []struct {
			name   string
			width  int64
			script bool
		}{{"wide", 1280, true}, {"narrow", 390, true}, {"without script", 1280, false}} {
			t.Run(c.name, func(t *testing.T) {
				b := world.NewTab(t)
				b.Size(c.width, 844, "light")
				b.Script(c.script)
				b.Open(w.GateURL + "/")
				noSideways(b)
				plainWords(b, "main .short")
				b.Go("follow the way to report", chromedp.Click(chromedp.CSS(`main a[href="/report"]`)))
				noSideways(b)
				plainWords(b, `form[action="/report"]`)
				if required := count(b, `form[action="/report"] :is(input, textarea, select):required`); required != 1 {
					t.Errorf("the form has %d required fields, want 1", required)
				}
				b.Type("#description", "The lantern answers before it is asked, "+c.name+".")
				if status := b.Submit(`form[action="/report"]`); status != 200 && status != 201 {
					t.Fatalf("sending answers %d: %s", status, b.Text())
				}
				b.Sees("What happens next")
				noSideways(b)
				code := world.Eval[string](b, `document.querySelector("#form-open [name=code]").value`)
				if len(strings.Fields(code)) != 8 {
					t.Fatalf("the receipt shows the code %q, want eight words", code)
				}
				if c.script {
					b.Click("#code-kept")
				}
				mailbox(b, w, code)
				b.Sees("Nothing has been read yet")
				w.Settle()
				mailbox(b, w, code)
				b.Sees(disclosure.StatusWords(disclosure.Received))
			})
		}
	})

	t.Run("reporter by keyboard", func(t *testing.T) {
		b := world.NewTab(t)
		b.Open(w.GateURL + "/")
		for range 60 { // Tab until the way to report has the focus
			if world.Eval[bool](b, `document.activeElement.matches("main a[href='/report']")`) {
				break
			}
			b.Key("\t")
		}
		b.Go("press Enter", chromedp.KeyEvent("\r"))
		for range 60 { // then the description
			if world.Eval[string](b, `document.activeElement.id`) == "description" {
				break
			}
			b.Key("\t")
		}
		b.Key("Typed without a mouse.")
		for range 60 {
			if world.Eval[bool](b, `document.activeElement.type == "submit" && document.activeElement.form?.getAttribute("action") == "/report"`) {
				break
			}
			b.Key("\t")
		}
		b.Key("\r")
		b.Wait("the receipt", `document.getElementById("code-words")`)
		for range 60 { // the box is within reach
			if world.Eval[string](b, `document.activeElement.id`) == "code-kept" {
				break
			}
			b.Key("\t")
		}
		b.Key(" ")
		if !world.Eval[bool](b, `document.getElementById("code-kept").checked`) {
			t.Error("the box that the code is kept cannot be ticked by keyboard")
		}
	})

	t.Run("triager", func(t *testing.T) {
		b := world.NewTab(t)
		b.SignIn(w, "Tove")
		b.Open(w.DeskURL + "/inbox")
		mirror := ""
		for _, r := range w.Sample.Reports {
			if r.Name == "mirror" {
				mirror = r.Title
			}
		}
		if strings.Contains(b.Text(), mirror) {
			t.Errorf("a triager who is not allowed sees the restricted case %q", mirror)
		}
		rows := world.Eval[[]string](b, `[...document.querySelectorAll("main a[href^='/cases/']")].map(a => a.getAttribute("href"))`)
		if len(rows) < 4 {
			t.Fatalf("the inbox has %d lines", len(rows))
		}
		b.Key("j")
		b.Key("j")
		b.Key("k")
		first := world.Eval[string](b, `document.querySelector(".is-here [data-open]")?.getAttribute("href") ?? ""`)
		if first != rows[0] {
			t.Errorf("j j k stands on %q, want the first line %q", first, rows[0])
		}
		b.Key("j")
		b.Go("press Enter", chromedp.KeyEvent("\r"))
		if at := b.Location(); at != w.DeskURL+rows[1] {
			t.Errorf("Enter on the second line leads to %s, want %s", at, rows[1])
		}
	})

	t.Run("releaser moves time", func(t *testing.T) {
		b := world.NewTab(t)
		b.SignIn(w, "Ada")
		b.Open(w.DeskURL + "/releases/" + string(w.Sample.Release("told")))
		b.Sees("Harbor Linux", "Skerry Hosting", "sent")
		before := w.DB.Now()
		b.Unfold(`form[action="/demo/time"] button`)
		b.Go("move time", chromedp.Click(chromedp.CSS(`form[action="/demo/time"] button`)))
		if moved := w.DB.Now().Sub(before); moved.Hours() < 0.9 {
			t.Errorf("the demo's button moved the time by %v", moved)
		}
	})

	t.Run("auditor", func(t *testing.T) {
		v := w.SignedIn("Olek")
		v.Get("/log").OK()
		if p := v.Get("/cases/1"); p.Status != 404 {
			t.Errorf("an auditor's /cases/1 answers %d, want 404", p.Status)
		}
		if p := v.Get("/distributors"); p.Status != 404 {
			t.Errorf("an auditor's /distributors answers %d, want 404", p.Status)
		}
	})
}

// plainWords: nothing that is seen there needs to know what PGP is.
func plainWords(b *world.Tab, selector string) {
	b.T.Helper()
	seen := world.Eval[string](b, fmt.Sprintf(`(() => {
		const walk = document.createTreeWalker(document.querySelector(%q), NodeFilter.SHOW_TEXT), out = [];
		while (walk.nextNode()) if (walk.currentNode.parentElement.checkVisibility()) out.push(walk.currentNode.data);
		return out.join(" ") })()`, selector))
	for _, word := range []string{"PGP", "GPG", "armor", "fingerprint", "public key"} {
		if strings.Contains(seen, word) {
			b.T.Errorf("%s: %q stands in the way: %s", b.Location(), word, seen)
		}
	}
	if len(seen) < 100 {
		b.T.Errorf("%s: only %q is seen", b.Location(), seen)
	}
}

func count(b *world.Tab, selector string) int {
	return world.Eval[int](b, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// noSideways: nothing is wider than the window.
func noSideways(b *world.Tab) {
	b.T.Helper()
	if wide := world.Eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
		b.T.Errorf("%s is %d px wider than the window", b.Location(), wide)
	}
}

// violation is what axe found.
type violation struct {
	ID     string
	Impact string
	Help   string
	Nodes  []struct{ HTML, FailureSummary string }
}

// TestAxe lets axe-core look at every page, light and dark.
func TestAxe(t *testing.T) {
	world.Need(t, "chromium")
	axe, err := os.ReadFile("../../../web/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core not installed")
	}
	w := world.New(t, world.Config{Demo: true})
	public, team := world.NewTab(t), world.NewTab(t)
	team.SignIn(w, "Ada")
	run := func(b *world.Tab, p page, theme, options string) {
		found := world.Eval[string](b, `axe.run(document, {resultTypes: ["violations"]`+options+`}).then(r => JSON.stringify(r.violations))`)
		var list []violation
		if err := json.Unmarshal([]byte(found), &list); err != nil {
			t.Fatalf("%s: read axe's answer: %v", p.name, err)
		}
		for _, v := range list {
			for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
				t.Errorf("%s, %s: %s (%s): %s\n%s\n%s", p.name, theme, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
			}
		}
	}
	look := func(b *world.Tab, p page) {
		b.Size(1280, 900, "light")
		visit(b, p)
		b.Do("load axe", chromedp.Evaluate[chromedp.Void](string(axe)))
		run(b, p, "light", "")
		b.Size(1280, 900, "dark") // the same page in other colors
		run(b, p, "dark", `, runOnly: ["color-contrast", "link-in-text-block"]`)
	}
	for _, p := range gatePages(w) {
		look(public, p)
	}
	for _, p := range deskPages(w) {
		look(team, p)
	}
	look(team, page{name: "desk-case-unfolded", do: func(b *world.Tab) {
		b.Open(w.DeskURL + "/cases/1")
		world.Eval[bool](b, `(() => { document.querySelectorAll("details").forEach(d => d.open = true); return true })()`)
	}})
	look(public, page{name: "desk-sign-in", at: w.DeskURL + "/sign-in"})
	w.DB.Vault().Lock()
	look(public, page{name: "desk-unlock", at: w.DeskURL + "/unlock"})
}

// TestScreens pictures every page in every state, width and theme, into the
// folder that POSTERN_SCREENS names.
func TestScreens(t *testing.T) {
	dir := os.Getenv("POSTERN_SCREENS")
	if dir == "" {
		t.Skip("POSTERN_SCREENS not set")
	}
	world.Need(t, "chromium")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := world.New(t, world.Config{Demo: true})
	public, team := world.NewTab(t), world.NewTab(t)
	team.SignIn(w, "Ada")
	shoot := func(b *world.Tab, p page) {
		for _, width := range []int64{390, 1440} {
			for _, theme := range []string{"light", "dark"} {
				b.Size(width, 900, theme)
				visit(b, p)
				noSideways(b)
				b.Screenshot(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", p.name, width, theme)))
			}
		}
	}
	for _, p := range gatePages(w) {
		shoot(public, p)
	}
	for _, p := range deskPages(w) {
		shoot(team, p)
	}
	shoot(public, page{name: "desk-sign-in", at: w.DeskURL + "/sign-in"})
	w.DB.Vault().Lock()
	shoot(public, page{name: "desk-unlock", at: w.DeskURL + "/unlock"})
}
