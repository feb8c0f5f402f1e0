package desk_test

import (
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/desk"
	"postern/internal/disclosure"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

// Who may use a route: t triager, r releaser, a admin, u auditor. "public" is
// open to strangers, "always" to strangers while the vault is locked, too.
const (
	teamOf = "tra"
	anyone = "trau"
	public = "public"
	always = "always"
)

// expected is written down apart from the code that registers: a route that is
// not here fails the test, and so does one that is here alone.
var expected = map[string]string{
	"GET /": anyone, "GET /healthz": always, "GET /static/*": always,
	"GET /sign-in": public, "POST /sign-in": public, "POST /sign-out": anyone,
	"GET /step-up": anyone, "POST /step-up": anyone,
	"GET /invite/{token}": public, "POST /invite/{token}": public, "GET /enter/{token}": always,
	"GET /unlock": always, "POST /unlock": always, "POST /lock": "a",

	"GET /inbox": teamOf, "GET /inbox/list": teamOf, "GET /figures": teamOf,
	"GET /cases/{n}": teamOf, "GET /cases/{n}/fragment/conversation": teamOf,
	"GET /cases/{n}/files/{file}": teamOf, "GET /cases/{n}/files/{file}/download": teamOf, "GET /cases/{n}/originals/{arrival}": teamOf,
	"POST /cases/{n}/acknowledge": "tr", "POST /cases/{n}/affected": "tr", "POST /cases/{n}/assign": "t", "POST /cases/{n}/close": "tr",
	"POST /cases/{n}/credit": "tr", "POST /cases/{n}/cve": "tr", "POST /cases/{n}/move": "tr", "POST /cases/{n}/reopen": "tr",
	"POST /cases/{n}/restrict": "tr", "POST /cases/{n}/severity": "tr", "POST /cases/{n}/text": "tr", "POST /cases/{n}/title": "tr",
	"POST /cases/{n}/track": "tr", "POST /cases/{n}/note": teamOf, "POST /cases/{n}/reply": "t", "POST /cases/{n}/take-back": "t",
	"POST /cases/{n}/invite": "t", "POST /cases/{n}/key": "tr", "POST /cases/{n}/merge": "t", "POST /cases/{n}/split": "t",
	"POST /policy/pause": "a", "POST /members/recipient": "ta",
	"POST /cases/{n}/supply": "t", "POST /cases/{n}/open-with": "t", "POST /cases/{n}/try-again": "t",

	"GET /releases": teamOf, "POST /releases": "r", "GET /releases/{release}": teamOf, "GET /releases/{release}/ledger": "ra",
	"POST /releases/{release}/title": "r", "POST /releases/{release}/plan": "r", "POST /releases/{release}/add-case": "r",
	"POST /releases/{release}/remove-case": "r", "POST /releases/{release}/versions": "r", "POST /releases/{release}/patch": "r",
	"POST /releases/{release}/remove-patch": "r", "POST /releases/{release}/step": "r", "POST /releases/{release}/begin": "r",
	"POST /releases/{release}/urgent": "r", "POST /releases/{release}/artefact": "r", "POST /releases/{release}/draft": "r", "GET /releases/{release}/postpone": "r", "POST /releases/{release}/postpone": "r",
	"GET /releases/{release}/call-off": "r", "POST /releases/{release}/call-off": "r",
	"GET /releases/{release}/publish": "tr", "POST /releases/{release}/publish": "r", "POST /releases/{release}/confirm": "tr",

	"GET /releases/{release}/notices/{notice}": teamOf, "GET /releases/{release}/notices/{notice}/preview": teamOf,
	"GET /releases/{release}/notices/{notice}/raw": teamOf, "GET /releases/{release}/notices/{notice}/ledger": "ra",
	"POST /releases/{release}/notices/{notice}/save": "r", "POST /releases/{release}/notices/{notice}/redraft": "r",
	"POST /releases/{release}/notices/{notice}/freeze": "r", "POST /releases/{release}/notices/{notice}/sign": "r",
	"POST /releases/{release}/notices/{notice}/thaw": "r", "POST /releases/{release}/notices/{notice}/confirm": "r", "POST /releases/{release}/notices/{notice}/approve": "r",
	"GET /releases/{release}/notices/{notice}/send": "r", "POST /releases/{release}/notices/{notice}/send": "r",
	"POST /releases/{release}/notices/{notice}/resend": "r", "POST /releases/{release}/notices/{notice}/settle": "r",
	"POST /releases/{release}/notices/{notice}/cancel": "r",

	"GET /distributors": "ra", "GET /distributors/new": "a", "POST /distributors/new": "a", "GET /distributors/{distributor}": "ra",
	"POST /distributors/{distributor}": "a", "POST /distributors/{distributor}/key": "a",
	"POST /distributors/{distributor}/remove-key": "a", "POST /distributors/{distributor}/revoke": "a",

	"GET /applications": "a", "GET /applications/{application}": "a", "GET /applications/{application}/files/{file}/download": "a",
	"GET /applications/{application}/originals/{arrival}": "a", "POST /applications/{application}/answer": "a",
	"POST /applications/{application}/take-back": "a", "POST /applications/{application}/report": "a",
	"POST /applications/{application}/set-aside": "a", "POST /applications/{application}/take-up": "a",
	"POST /applications/{application}/key": "a",

	"GET /outbox": "ra", "GET /outbox/{mail}": "ra", "GET /health": anyone, "GET /held": anyone, "POST /held/release": "ra",
	"GET /members": teamOf, "POST /members/invite": "a", "POST /members/{member}/roles": "a", "POST /members/{member}/reset": "a",
	"POST /members/{member}/disable": "a", "POST /members/{member}/enable": "a",
	"POST /members/{member}/add-key": "a", "POST /members/{member}/remove-key": "a",
	"GET /log": "au", "GET /policy": teamOf, "POST /policy": "a",
	"GET /vault": "a", "POST /vault/add": "a", "POST /vault/remove": "a", "POST /vault/holder": "a",
	"GET /account": anyone, "POST /account/zone": anyone, "POST /account/key": anyone, "POST /account/alerts": anyone,
	"POST /account/password": anyone, "POST /account/end-session": anyone,
	"POST /demo/time": anyone,
}

// forbidden is for whom a form answers 403: they see the thing, and the rule
// about it says no.
var forbidden = map[string]string{"POST /cases/{n}/assign": "r", "POST /members/recipient": "t"}

// absent are routes whose object the house does not have (a message that could
// not be mailed): who may and who may not get the same answer.
var absent = map[string]bool{"POST /cases/{n}/try-again": true}

// things are objects that exist, for the parts of patterns.
type things struct {
	parts       map[string]string
	application map[string]string // the same for those of an application
	form        url.Values        // good for every form: its version is nobody's
	member      disclosure.MemberID
	release     disclosure.ReleaseID
	notice      disclosure.NoticeID
	delivery    disclosure.DeliveryID
}

func (x things) path(pattern string) string {
	if strings.HasPrefix(pattern, "/applications/") {
		for name, value := range x.application {
			pattern = strings.ReplaceAll(pattern, name, value)
		}
	}
	for name, value := range x.parts {
		pattern = strings.ReplaceAll(pattern, name, value)
	}
	return pattern
}

// furnished has one of everything a route can name.
func (h *house) furnished() things {
	h.t.Helper()
	ctx := h.t.Context()
	r, n, delivery := h.told("April release")
	c := h.accepted("Another leak")
	file, err := h.DB.StoreFile(ctx, h.Tri, c.ID, "", "proof.txt", "text/plain", strings.NewReader("proof"))
	h.must(err)
	message := disclosure.MessageID(disclosure.NewID())
	h.must(h.DB.Reply(ctx, h.Tri, postgres.ReplyDraft{ID: message, Case: c.ID, Text: "Thank you.",
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}}))
	eve := h.Member(h.t, "Eve", disclosure.Releaser)
	list, err := h.DB.Distributors(ctx, h.Ada)
	h.must(err)
	key := list[0].Keys[0] // both have the same, so that one form names either's
	h.must(h.DB.AddSigningKey(ctx, h.Ada, eve.Member, key.Certificate))
	slots, err := h.DB.Slots(ctx, h.Ada)
	h.must(err)
	arrival := ""
	h.must(h.DB.Pool().QueryRow(ctx, `SELECT id FROM arrival WHERE case_id = $1`, string(c.ID)).Scan(&arrival))
	number := h.applied("vendor@harbor.example", "We package Lantern.", "list.txt")
	asked, err := h.DB.Application(ctx, h.Ada, number)
	h.must(err)
	answer := disclosure.MessageID(disclosure.NewID())
	h.must(h.DB.AnswerApplication(ctx, h.Ada, number, postgres.ReplyDraft{ID: answer, Text: "Thank you.", Letter: "ask-key", Safe: true}))
	return things{
		application: map[string]string{"{application}": fmt.Sprint(number), "{file}": string(asked.Files[0].ID),
			"{arrival}": string(asked.Messages[0].Arrival), "{answer}": string(answer)},
		parts: map[string]string{"{n}": fmt.Sprint(c.Number), "{file}": string(file.ID), "{arrival}": arrival, "{release}": string(r.ID),
			"{notice}": string(n.ID), "{distributor}": string(list[0].ID), "{member}": string(eve.Member), "{mail}": "one",
			"{token}": "nobodys", "/static/*": "/static/desk.css"},
		form: form("version", "999999", "message", string(message), "reporter", string(c.Reporters[0].ID), "case", fmt.Sprint(c.Number),
			"delivery", string(delivery), "fingerprint", key.Fingerprint, "step", "1h", "slot", slots[len(slots)-1].ID),
		member: eve.Member, release: r.ID, notice: n.ID, delivery: delivery,
	}
}

// told is a release whose distributors were told, with the one delivery.
func (h *house) told(title string) (*disclosure.Release, *disclosure.Notice, disclosure.DeliveryID) {
	h.t.Helper()
	ctx := h.t.Context()
	reader := newKey(h.t, "Distro", "security@distro.example", h.DB.Now())
	_, err := h.DB.Enroll(ctx, h.Ada, disclosure.Distributor{Name: "Distro", Address: "security@distro.example",
		Keys: []disclosure.RecipientKey{{Fingerprint: reader.Certificate().Fingerprint(), Certificate: reader.Certificate().Binary()}}})
	h.must(err)
	r := h.release(title)
	_, err = h.DB.AddPatch(ctx, h.Rel, r.ID, disclosure.Patch{Series: "4.2", Name: "0001-hold.patch"}, strings.NewReader(patchText))
	h.must(err)
	h.must(h.DB.UpdateRelease(ctx, h.Rel, r.ID, func(r *disclosure.Release) error { return r.SetVersion("4.2", "4.2.9", h.Rel, h.DB.Now()) }))
	b := h.as(h.Rel)
	digest := h.approved(b, r.ID, disclosure.ToDistributors)
	n := noticeTo(h.t, h.load(string(r.ID)), disclosure.ToDistributors)
	at := "/releases/" + string(r.ID) + "/notices/" + string(n.ID) + "/send"
	b.done(at, form("version", hidden(h.t, b.page(at), "version"), "digest", digest, "typed", title))
	h.deliverTo(n.ID, reader)
	list, err := h.DB.Ledger(ctx, h.Ada, n.ID)
	h.must(err)
	return h.load(string(r.ID)), n, list[0].ID
}

// use asks for a route as somebody, with a good form where there is one.
func (x things) use(b *browser, route string) answer {
	method, pattern, _ := strings.Cut(route, " ")
	if method != http.MethodPost {
		return b.do(method, x.path(pattern), "", nil)
	}
	f := url.Values{}
	for k, v := range x.form {
		f[k] = v
	}
	hash := auth.HashToken(b.cookie)
	f.Set("session", hex.EncodeToString(hash[:]))
	if pattern == "/applications/{application}/take-back" {
		f.Set("message", x.application["{answer}"])
	}
	if pattern == "/releases/{release}/patch" {
		return b.upload(x.path(pattern), "patch", "0002-more.patch", "more", "series", "4.2", "case", "")
	}
	if pattern == "/releases/{release}/add-case" || pattern == "/releases" {
		f.Del("title")
	}
	return b.post(x.path(pattern), f)
}

func routesOf(d *desk.Desk) []string {
	var list []string
	for _, r := range d.Routes() {
		if r.Method != http.MethodHead {
			list = append(list, r.Method+" "+r.Pattern)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestEveryRouteIsExpected: a route nobody thought about fails.
func TestEveryRouteIsExpected(t *testing.T) {
	h := newHouse(t)
	routes := routesOf(h.desk)
	for _, r := range routes {
		if _, ok := expected[r]; !ok {
			t.Errorf("%s is served, and the table does not say for whom", r)
		}
	}
	for r := range expected {
		if !slices.Contains(routes, r) {
			t.Errorf("%s is in the table, and not served", r)
		}
	}
	for _, r := range h.desk.Routes() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			t.Errorf("%s %s: a method that no browser's form has", r.Method, r.Pattern)
		}
	}
}

// TestEveryRouteWithEveryRole asks for each route as each role, as a stranger,
// and at a locked vault.
func TestEveryRouteWithEveryRole(t *testing.T) {
	h := newHouse(t)
	x := h.furnished()
	who := []struct {
		letter string
		caller disclosure.Caller
	}{{"t", h.Tri}, {"r", h.Rel}, {"a", h.adm}, {"u", h.Aud}}
	for _, route := range routesOf(h.desk) {
		want := expected[route]
		for _, m := range who {
			a := x.use(h.as(m.caller), route)
			may := want == public || want == always || strings.Contains(want, m.letter)
			if strings.Contains(forbidden[route], m.letter) {
				if a.code != http.StatusForbidden {
					t.Errorf("%s as %s: %d, want 403", route, m.caller.Roles, a.code)
				}
				continue
			}
			if problem := judge(a, may && !absent[route], want); problem != "" {
				t.Errorf("%s as %s: %d to %q, %s\n%s", route, m.caller.Roles, a.code, a.location, problem, faultBox.FindString(a.body))
			}
			h.unlock()
		}
		a := x.use(h.stranger(), route)
		switch open := want == public || want == always; {
		case open && (a.code >= 500 || a.code == http.StatusSeeOther && strings.HasPrefix(a.location, "/sign-in?")):
			t.Errorf("%s as a stranger: %d to %q, want an answer", route, a.code, a.location)
		case !open && (a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/sign-in")):
			t.Errorf("%s as a stranger: %d to %q, want the sign-in page", route, a.code, a.location)
		}
		h.must(h.DB.Enable(t.Context(), h.Ada, x.member))
	}
}

// judge says what is wrong with an answer to somebody who may, or may not.
func judge(a answer, may bool, want string) string {
	toSignIn := a.code == http.StatusSeeOther && strings.HasPrefix(a.location, "/sign-in?")
	switch {
	case a.code >= 500:
		return "want no failure"
	case !may && a.code != http.StatusNotFound:
		return "want 404"
	case may && want != public && want != always && (a.code == http.StatusNotFound || a.code == http.StatusForbidden || toSignIn):
		return "want it to be allowed"
	case may && strings.HasPrefix(a.location, "/step-up"):
		return "want no second factor so soon after signing in"
	}
	return ""
}

func (h *house) unlock() {
	h.t.Helper()
	if v := h.DB.Vault(); !v.Unlocked() {
		_, err := v.Unlock(postgrestest.Passphrase)
		h.must(err)
	}
}

// TestLockedVaultShowsNothing: whoever asks for whatever sees the unlock page.
func TestLockedVaultShowsNothing(t *testing.T) {
	h := newHouse(t)
	x := h.furnished()
	signedIn := h.as(h.Ada)
	h.DB.Vault().Lock()
	for _, route := range routesOf(h.desk) {
		for _, b := range []*browser{signedIn, h.stranger()} {
			a := x.use(b, route)
			if expected[route] == always {
				if a.code >= 500 || a.location == "/sign-in" {
					t.Errorf("%s while locked: %d to %q", route, a.code, a.location)
				}
				continue
			}
			if a.code != http.StatusSeeOther || a.location != "/unlock" {
				t.Errorf("%s while locked, signed in %t: %d to %q, want the unlock page", route, b == signedIn, a.code, a.location)
			}
		}
	}
}

// TestStepUp: what leaves the house, and the private list, ask for a fresh
// second factor. A page is come back to; a form is kept with all that was
// typed and goes on, wherever its route is: the routes are walked.
func TestStepUp(t *testing.T) {
	h := newHouse(t)
	x := h.furnished()
	release := "/releases/{release}"
	back := map[string]string{
		"GET /applications": "/applications", "GET /applications/{application}": "/applications/{application}",
		"GET /applications/{application}/files/{file}/download": "/applications/{application}/files/{file}/download",
		"GET /applications/{application}/originals/{arrival}":   "/applications/{application}/originals/{arrival}",
		"GET /distributors": "/distributors", "GET /distributors/new": "/distributors/new", "GET /distributors/{distributor}": "/distributors/{distributor}",
		"POST " + release + "/notices/{notice}/send": release + "/notices/{notice}/send", "POST " + release + "/publish": release + "/publish",
		"GET /outbox": "/outbox", "GET /outbox/{mail}": "/outbox/{mail}",
	}
	kept := map[string]bool{
		"POST /applications/{application}/report": true, "POST /applications/{application}/answer": true, "POST /applications/{application}/key": true,
		"POST /applications/{application}/set-aside": true, "POST /applications/{application}/take-up": true,
		"POST /applications/{application}/take-back": true,
		"POST /distributors/new":                     true, "POST /distributors/{distributor}": true, "POST /distributors/{distributor}/key": true,
		"POST /distributors/{distributor}/remove-key": true, "POST /distributors/{distributor}/revoke": true,
		"POST " + release + "/notices/{notice}/resend": true, "POST " + release + "/confirm": true,
		"POST /held/release": true, "POST /vault/add": true, "POST /vault/remove": true, "POST /vault/holder": true, "POST /members/invite": true,
		"POST /members/{member}/roles": true, "POST /members/{member}/reset": true, "POST /members/{member}/disable": true,
		"POST /members/{member}/enable": true, "POST /members/{member}/add-key": true, "POST /members/{member}/remove-key": true,
	}
	x.form.Set("note", "typed, \"with\" care & <b>")
	for _, route := range routesOf(h.desk) {
		_, pattern, _ := strings.Cut(route, " ")
		if expected[route] == always || expected[route] == public || route == "POST /sign-out" {
			continue
		}
		a := x.use(h.calm(h.Ada), route)
		switch {
		case back[route] != "":
			if want := "/step-up?next=" + x.path(back[route]); a.code != http.StatusSeeOther || a.location != want {
				t.Errorf("%s without a step-up: %d to %q, want 303 to %q", route, a.code, a.location, want)
			}
		case kept[route]:
			got := hiddenOf(a.body)
			typed := maps.Clone(x.form)
			if strings.HasPrefix(pattern, "/applications/") && strings.HasSuffix(pattern, "/take-back") {
				typed.Set("message", x.application["{answer}"])
			}
			want := typed.Encode()
			then := got.Get("step_up_then")
			got.Del("step_up_then")
			got.Del("next")
			got.Del("session")
			if a.code != http.StatusForbidden || then != x.path(pattern) || got.Encode() != want {
				t.Errorf("%s without a step-up: %d, on to %q with %s; want 403 with what was typed: %s", route, a.code, then, got.Encode(), want)
			}
		case a.code == http.StatusForbidden || strings.HasPrefix(a.location, "/step-up"):
			t.Errorf("%s asks for a step-up (%d to %q), and no test says how it goes on", route, a.code, a.location)
		}
		delete(back, route)
		delete(kept, route)
		h.unlock()
	}
	if len(back)+len(kept) > 0 {
		t.Errorf("not served: %v %v", back, kept)
	}
	typed, err := policy.Preset("demo")
	h.must(err)
	a := h.calm(h.Ada).post("/policy", form("do", "apply", "policy", typed))
	if now, err := h.DB.CurrentPolicy(t.Context()); err != nil || now.Version != h.Policy.Version || a.code != http.StatusForbidden ||
		strings.ReplaceAll(hiddenOf(a.body).Get("policy"), "\r", "") != typed {
		t.Errorf("apply a policy without a step-up: %d, version %d, %v; want 403, the text kept, and version %d", a.code, now.Version, err, h.Policy.Version)
	}
	a = h.calm(h.Ada).post("/vault/add", form("holder", "Ada", "passphrase", "never in a page", "passphrase_again", "never in a page"))
	if a.location != "/step-up?next=/vault" || strings.Contains(a.body, "never in a page") {
		t.Errorf("add a slot without a step-up: %d to %q; want to begin again, and no passphrase on a page", a.code, a.location)
	}
	for _, path := range []string{release + "/notices/{notice}/send", release + "/publish"} {
		body := h.calm(h.Ada).page(x.path(path))
		// Publishing is blocked in this world, so nobody is asked for a code in vain.
		if strings.Contains(body, `id="form-step-up"`) != strings.HasSuffix(path, "/send") || strings.Contains(body, "security@distro.example") || strings.Contains(body, `class="ceremony"`) {
			t.Errorf("GET %s without a step-up: want its form, no name and no button", path)
		}
	}
}

// TestStepUpGoesOn: a long form that waited is enrolled once the code is given,
// wrong codes in between lose no word, and its address never holds one.
func TestStepUpGoesOn(t *testing.T) {
	h := newHouse(t)
	reader := newKey(t, "Distro", "security@distro.example", h.DB.Now())
	b := h.calm(h.Ada)
	note := "Line one,\r\nline two: \"quoted\" & <b>."
	a := b.post("/distributors/new", form("name", "Distro", "address", "security@distro.example", "note", note, "key", string(reader.Certificate().Armored())))
	for range 2 { // the second time after a wrong code
		f := hiddenOf(a.body)
		f.Set("code", "000000")
		if a = b.post("/step-up", f); a.code != http.StatusUnprocessableEntity || hiddenOf(a.body).Get("note") != note {
			t.Fatalf("a wrong code: %d, note %q; want 422 and %q", a.code, hiddenOf(a.body).Get("note"), note)
		}
	}
	in, err := h.DB.SignInOf(t.Context(), h.Ada.Member)
	h.must(err)
	f := hiddenOf(a.body)
	f.Set("code", auth.TOTPCode(in.TOTP, h.DB.Wall()))
	a = b.post("/step-up", f)
	if a.code != http.StatusTemporaryRedirect || a.location != "/distributors/new" {
		t.Fatalf("the right code: %d to %q, want 307 to the form's own address\n%s", a.code, a.location, faultsOf(a.body))
	}
	b.done(a.location, f) // as a browser follows a 307
	list, err := h.DB.Distributors(t.Context(), h.Ada)
	h.must(err)
	if len(list) != 1 || list[0].Note != note || len(list[0].Keys) != 1 {
		t.Errorf("enrolled: %+v, want Distro with its note and key", list)
	}
	// Somebody else's address is never gone on to.
	f.Set("step_up_then", "https://elsewhere.example/")
	in, err = h.DB.SignInOf(t.Context(), h.Ada.Member)
	h.must(err)
	f.Set("code", auth.TOTPCode(in.TOTP, h.DB.Wall().Add(30*time.Second)))
	if a = b.post("/step-up", f); a.code != http.StatusSeeOther || strings.Contains(a.location, "elsewhere") {
		t.Errorf("going on to another site: %d to %q", a.code, a.location)
	}
}

// hiddenOf is every hidden field of a page's step-up form.
func hiddenOf(body string) url.Values {
	v := url.Values{}
	_, body, _ = strings.Cut(body, `id="form-step-up"`)
	body, _, _ = strings.Cut(body, "</form>")
	for _, m := range hiddenField.FindAllStringSubmatch(body, -1) {
		v.Add(m[1], html.UnescapeString(m[2]))
	}
	return v
}

// TestHiddenRelease: a release with a case restricted to others does not exist.
func TestHiddenRelease(t *testing.T) {
	h := newHouse(t)
	r := h.release("Quiet release")
	c := r.Cases[0]
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, c.ID, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{h.Ada.Member}, h.Ada, h.DB.Now())
	}))
	n := r.Notices[0]
	b := h.as(h.Rel)
	for _, path := range []string{"", "/ledger", "/postpone", "/call-off", "/publish", "/notices/" + string(n.ID), "/notices/" + string(n.ID) + "/raw", "/notices/" + string(n.ID) + "/send"} {
		if a := b.get("/releases/" + string(r.ID) + path); a.code != http.StatusNotFound {
			t.Errorf("GET release%s as somebody else: %d, want 404", path, a.code)
		}
	}
	if body := b.page("/releases"); strings.Contains(body, "Quiet release") {
		t.Error("the list shows a release with a case restricted to others")
	}
	if a := b.post("/releases/"+string(r.ID)+"/title", form("version", fmt.Sprint(r.Version), "title", "Mine")); a.code != http.StatusNotFound {
		t.Errorf("rename it as somebody else: %d, want 404", a.code)
	}
	logged := func(by disclosure.Caller) (about int) {
		t.Helper()
		rows, err := h.DB.Log(t.Context(), by, postgres.LogQuery{Limit: 500})
		h.must(err)
		for _, row := range rows {
			if row.Object == string(r.ID) || row.Object == string(n.ID) {
				about++
			}
		}
		return about
	}
	for _, state := range []string{"planned", "called off"} {
		if logged(h.Ada) == 0 || logged(h.adm) != 0 || logged(h.Aud) != 0 {
			t.Errorf("%s: rows about the release in the log for one who sees it %d, an admin who does not %d, an auditor %d; want some, 0, 0",
				state, logged(h.Ada), logged(h.adm), logged(h.Aud))
		}
		if state == "planned" {
			h.must(h.DB.UpdateRelease(t.Context(), h.Ada, r.ID, func(r *disclosure.Release) error {
				return r.CallOff("Not this time.", h.Ada, h.DB.Now())
			}))
		}
	}
}

// TestKeyProblemsNameNobody: before a step-up a preflight says which entry of
// the list is in the way, not whose it is.
func TestKeyProblemsNameNobody(t *testing.T) {
	h := newHouse(t)
	key := newKey(t, "Hushed Linux", "security@hushed.example", h.DB.Now())
	_, err := h.DB.Enroll(t.Context(), h.Ada, disclosure.Distributor{Name: "Hushed Linux", Address: "security@hushed.example",
		Keys: []disclosure.RecipientKey{{Fingerprint: key.Certificate().Fingerprint(), Certificate: key.Certificate().Binary()}}})
	h.must(err)
	r := h.release("Spring release")
	n := noticeTo(t, r, disclosure.ToDistributors)
	h.Advance(t, 6*365*24*time.Hour) // the key has expired
	at := "/releases/" + string(r.ID) + "/notices/" + string(n.ID)
	for _, path := range []string{at, at + "/send"} {
		if body := h.calm(h.Rel).page(path); strings.Contains(body, "Hushed") || !strings.Contains(body, "Distributor 1 of the list: ") {
			t.Errorf("GET %s without a step-up names the distributor, or does not say that its key is in the way", path)
		}
		if body := h.as(h.Rel).page(path); !strings.Contains(body, "Hushed Linux: ") {
			t.Errorf("GET %s after a step-up does not say whose key is in the way", path)
		}
	}
}

// TestWrongTriesAreOfTheirAddress: a stranger who knows a login, or the way to
// the unlock page, does not shut the team out.
func TestWrongTriesAreOfTheirAddress(t *testing.T) {
	h := newHouse(t)
	try := func(from, path string, f url.Values) answer {
		r := httptest.NewRequest(http.MethodPost, "http://desk.example"+path, strings.NewReader(f.Encode()))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from + ":4711"
		w := httptest.NewRecorder()
		h.desk.ServeHTTP(w, r)
		return answer{w.Code, w.Header().Get("Location"), w.Body.String(), w.Header()}
	}
	good := func() url.Values {
		return form("name", "tri@lantern.example", "password", postgrestest.Password, "code", auth.TOTPCode(h.TOTP[h.Tri.Member], h.DB.Wall()))
	}
	for range 7 {
		try("198.51.100.7", "/sign-in", form("name", "tri@lantern.example", "password", "wrong", "code", "000000"))
	}
	if a := try("198.51.100.7", "/sign-in", good()); !strings.Contains(a.body, "Too many tries") || a.code != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("sign in from the guesser's address: %d to %q, want too many tries", a.code, a.location)
	}
	if a := try("198.51.100.8", "/sign-in", good()); a.code != http.StatusSeeOther || a.location != "/inbox" {
		t.Errorf("sign in from another address: %d to %q, want the inbox\n%s", a.code, a.location, faultBox.FindString(a.body))
	}
	h.DB.Vault().Lock()
	for range 7 {
		try("198.51.100.7", "/unlock", form("passphrase", "wrong"))
	}
	if a := try("198.51.100.7", "/unlock", form("passphrase", postgrestest.Passphrase)); !strings.Contains(a.body, "Too many tries") || a.code != http.StatusTooManyRequests {
		t.Errorf("unlock from the guesser's address: %d to %q, want too many tries", a.code, a.location)
	}
	if a := try("198.51.100.8", "/unlock", form("passphrase", postgrestest.Passphrase)); a.code != http.StatusSeeOther {
		t.Errorf("unlock from another address: %d, want it done\n%s", a.code, faultBox.FindString(a.body))
	}
}
