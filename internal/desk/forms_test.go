package desk_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres/postgrestest"
)

// refusedWith is a POST that has to be answered with the form again: 422, each
// of the sentences, and what was typed.
func (b *browser) refusedWith(path string, values map[string][]string, sentences, kept []string) {
	b.h.t.Helper()
	a := b.post(path, values)
	body := html.UnescapeString(a.body)
	if a.code != http.StatusUnprocessableEntity {
		b.h.t.Errorf("POST %s: %d to %q, want 422", path, a.code, a.location)
	}
	box := html.UnescapeString(faultBox.FindString(a.body))
	for _, s := range sentences {
		if !strings.Contains(box, s) {
			b.h.t.Errorf("POST %s: the faults lack %q:\n%s", path, s, box)
		}
	}
	for _, text := range kept {
		if !strings.Contains(body, text) {
			b.h.t.Errorf("POST %s: the page lost what was typed: %q", path, text)
		}
	}
}

func TestFaultsKeepWhatWasTyped(t *testing.T) {
	h := newHouse(t)
	c := h.accepted("Free case")
	r := h.release("May release")
	path := "/releases/" + string(r.ID)
	n := noticeTo(t, r, disclosure.ToDistributors)
	b := h.as(h.Ada)

	b.refusedWith("/releases", form("title", "", "case", fmt.Sprint(c.Number)), []string{"Name the release"}, []string{`value="` + fmt.Sprint(c.Number) + `" checked`})
	draft := b.done("/releases", form("title", "June release", "case", fmt.Sprint(c.Number)))
	b.refusedWith(draft+"/plan", form("version", hidden(t, b.page(draft), "version"), "at", "2020-02-02T10:00", "zone", "Mars/Olympus", "reason", "because of Mars"),
		[]string{"This hour has passed.", "No time zone is called"}, []string{"2020-02-02T10:00", "Mars/Olympus", "because of Mars"})
	b.refusedWith(draft+"/plan", form("version", hidden(t, b.page(draft), "version"), "at", "tomorrow", "zone", "UTC", "urgent", "yes"),
		[]string{"Write date and hour like", "Say why it is urgent."}, []string{"tomorrow"})
	b.refusedWith(path+"/versions", form("version", hidden(t, b.page(path), "version"), "series_0", "main", "number_0", "", "series_1", "5.1", "number_1", "5 .1", "series_2", "4.2", "number_2", "4.2.9"),
		[]string{"A version is written with letters"}, []string{"5 .1", "4.2.9"})
	b.refusedWith(path+"/postpone", form("version", hidden(t, b.page(path+"/postpone"), "version"), "at", "2020-01-01T00:00", "zone", "UTC", "reason", "the vendor asked"),
		[]string{"This hour has passed."}, []string{"the vendor asked", "2020-01-01T00:00"})
	b.refusedWith(path+"/call-off", form("version", hidden(t, b.page(path+"/call-off"), "version"), "reason", "", "typed", "May releas"),
		[]string{"Say why it is called off.", "exactly as it stands"}, []string{"May releas"})

	at := path + "/notices/" + string(n.ID)
	b.refusedWith(at+"/save", form("version", hidden(t, b.page(at), "version"), "subject", "My own subject", "text", "line one\r\n\r\n  line two", "send_at", "soon"),
		[]string{"Write date and hour like"}, []string{"My own subject", "line one\n\n  line two", "soon"})
	b.refusedWith(at+"/save", form("version", "1", "subject", "My own subject", "text", "A long evening's work"),
		[]string{"Somebody changed this meanwhile"}, []string{"A long evening's work"})

	b.refusedWith("/distributors/new", form("name", "", "address", "nobody", "note", "met in Vienna", "key", "no key at all"),
		[]string{"Give the distributor's name", "Give one mail address", "key"}, []string{"nobody", "met in Vienna", "no key at all"})
	b.refusedWith("/distributors/new", form("name", "Distro", "address", "a@distro.example", "clear", "yes"), []string{"The policy asks for encryption"}, []string{"a@distro.example"})
	b.refusedWith("/members/invite", form("name", "Bo", "address", "not an address", "role", "auditor"), []string{"Give one mail address"}, []string{`value="Bo"`, "not an address"})
	b.refusedWith("/account/zone", form("zone", "Mars/Olympus"), nil, []string{"Mars/Olympus"})
	b.refusedWith("/account/key", form("key", "no key at all"), nil, []string{"no key at all"})
	b.refusedWith("/policy", form("do", "apply", "policy", "id = 1\nspeling = \"x\"\n"), []string{"Line 1", "Line 2", "speling"}, []string{`speling = "x"`})
	b.refusedWith("/vault/add", form("holder", "Bo", "passphrase", "short", "passphrase_again", "shorter"), []string{"A passphrase needs"}, []string{`value="Bo"`})
}

// TestPolicyIsCheckedThenApplied: the first press changes nothing, the second
// also what the public reads.
func TestPolicyIsCheckedThenApplied(t *testing.T) {
	h := newHouse(t)
	b := h.as(h.Ada)
	page := html.UnescapeString(b.page("/policy"))
	_, text, _ := strings.Cut(page, `<textarea`)
	_, text, _ = strings.Cut(text, ">")
	text, _, _ = strings.Cut(text, "</textarea>")
	text = strings.Replace(text, `within = "48h"`, `within = "24h"`, 1)
	a := b.post("/policy", form("do", "check", "policy", text))
	if a.code != http.StatusOK || !strings.Contains(a.body, "24 hours") || !strings.Contains(a.body, `value="apply"`) {
		t.Fatalf("check: %d, want what changes, and the button to apply\n%s", a.code, faultsOf(a.body))
	}
	if p, _ := h.DB.CurrentPolicy(t.Context()); p.Ack.Within.Hours != 48 {
		t.Fatal("checking a policy put it in force")
	}
	b.done("/policy", form("do", "apply", "policy", text))
	if p, _ := h.DB.CurrentPolicy(t.Context()); p.Ack.Within.Hours != 24 {
		t.Errorf("after applying: within %s, want 24h", p.Ack.Within)
	}
	docs, err := h.DB.Documents(t.Context())
	h.must(err)
	for _, d := range docs {
		if d.Path == "/" && !strings.Contains(string(d.Bytes), "24 hours") {
			t.Error("the public page does not say 24 hours")
		}
	}
	if !isPublic(t, h, "/") {
		t.Error("applying a policy did not render the public page")
	}
}

var inviteLink = regexp.MustCompile(`id="invite-link">http://desk\.example(/invite/[^<]+)<`)

// TestInvitationIsShownOnce: and whoever has the link may join with it.
func TestInvitationIsShownOnce(t *testing.T) {
	h := newHouse(t)
	b := h.as(h.adm)
	a := b.post("/members/invite", form("name", "Bo", "address", "bo@lantern.example", "role", "triager", "role", "auditor"))
	link := inviteLink.FindStringSubmatch(a.body)
	if a.code != http.StatusOK || link == nil {
		t.Fatalf("invite: %d, want the link on the page", a.code)
	}
	if strings.Contains(b.page("/members"), link[1]) {
		t.Error("the link is shown a second time")
	}
	if body := h.stranger().page(link[1]); !strings.Contains(body, "Bo") || !strings.Contains(body, "triager, auditor") {
		t.Error("the link's page does not say who is invited as what")
	}
	again := b.post("/members/invite", form("name", "Bo", "address", "bo@lantern.example", "role", "triager"))
	if again.code != http.StatusUnprocessableEntity || !strings.Contains(again.body, "already") {
		t.Errorf("invite the same address again: %d, want 422", again.code)
	}
	if a := h.as(h.Ada).post("/members/"+string(h.Ada.Member)+"/disable", nil); a.code != http.StatusSeeOther {
		t.Errorf("disable one of two admins: %d, want 303", a.code)
	}
	if a := b.post("/members/"+string(h.adm.Member)+"/roles", form("role", "triager")); a.code != http.StatusUnprocessableEntity {
		t.Errorf("take the last admin's role: %d, want 422", a.code)
	}
}

// TestReleaserSigns: where the policy wants a person's signature, the notice
// comes from that person, and nothing but a good signature is taken.
func TestReleaserSigns(t *testing.T) {
	h := newHouseWith(t, func(toml string) string {
		return strings.Replace(toml, "[distributors]\ntell = true\nsigner = \"team\"", "[distributors]\ntell = true\nsigner = \"releaser\"", 1)
	})
	r := h.release("Signed release")
	_, err := h.DB.AddPatch(t.Context(), h.Rel, r.ID, disclosure.Patch{Series: "4.2", Name: "0001-hold.patch"}, strings.NewReader(patchText))
	h.must(err)
	h.must(h.DB.UpdateRelease(t.Context(), h.Rel, r.ID, func(r *disclosure.Release) error { return r.SetVersion("4.2", "4.2.9", h.Rel, h.DB.Now()) }))
	at := "/releases/" + string(r.ID) + "/notices/" + string(noticeTo(t, r, disclosure.ToDistributors).ID)
	b := h.as(h.Rel)
	version := func() string { return hidden(t, b.page(at), "version") }

	b.refusedWith(at+"/freeze", form("version", version()), []string{"you have none registered"}, nil)
	key, other := newKey(t, "Rel Easer", "rel@lantern.example", h.DB.Now()), newKey(t, "Somebody Else", "else@lantern.example", h.DB.Now())
	admin := h.as(h.adm)
	admin.done("/members/"+string(h.Rel.Member)+"/add-key", form("key", string(key.Certificate().Armored())))
	admin.done("/members/"+string(h.Ada.Member)+"/add-key", form("key", string(other.Certificate().Armored())))
	b.done(at+"/freeze", form("version", version()))
	page := html.UnescapeString(b.page(at))
	if !strings.Contains(page, "gpg --armor --detach-sign") || !strings.Contains(page, key.Certificate().Fingerprint()) {
		t.Error("the page does not show the line that signs with the releaser's key")
	}
	if strings.Contains(page, `id="form-approve"`) {
		t.Error("an unsigned notice can be approved")
	}
	frozen := []byte(b.get(at + "/raw").body)
	if !strings.Contains(string(frozen), "rel@lantern.example") {
		t.Error("the frozen bytes do not come from the releaser")
	}
	sign := func(by *pgp.Secret, data []byte) string {
		packet, _, err := pgp.DetachSign(data, by, h.DB.Now())
		h.must(err)
		return string(packet)
	}
	for name, bad := range map[string]struct{ text, says string }{
		"nothing":           {"", pgp.RefusedNoSignature.Error()},
		"a public key":      {string(key.Certificate().Armored()), pgp.RefusedPublicKey.Error()},
		"other bytes":       {sign(key, append([]byte("x"), frozen...)), pgp.RefusedOtherBytes.Error()},
		"an unknown key":    {sign(newKey(t, "Stranger", "s@example.org", h.DB.Now()), frozen), pgp.RefusedUnknownKey.Error()},
		"another's address": {sign(other, frozen), "not an address of the key that signed"},
	} {
		if a := b.upload(at+"/sign", "file", "x.asc", bad.text, "version", version()); a.code != http.StatusUnprocessableEntity || !strings.Contains(html.UnescapeString(a.body), bad.says) {
			t.Errorf("sign with %s: %d, want 422 and %q\n%s", name, a.code, bad.says, faultBox.FindString(a.body))
		}
	}
	if a := b.upload(at+"/sign", "file", "x.asc", sign(key, frozen), "version", version()); a.code != http.StatusSeeOther {
		t.Fatalf("sign: %d\n%s", a.code, faultsOf(a.body))
	}
	b.done(at+"/approve", form("version", version(), "digest", hidden(t, b.page(at), "digest"), "list", hidden(t, b.page(at), "list")))
}

// TestApprovalBindsToTheList: who was not seen cannot be approved.
func TestApprovalBindsToTheList(t *testing.T) {
	h := newHouse(t)
	r, _, _ := h.told("Bound release")
	b := h.as(h.Rel)
	at := "/releases/" + string(r.ID) + "/notices/" + string(noticeTo(t, r, disclosure.ToAnnounceAhead).ID)
	b.done(at+"/freeze", form("version", hidden(t, b.page(at), "version")))
	page := b.page(at)
	for _, f := range []map[string][]string{
		form("version", hidden(t, page, "version"), "digest", hidden(t, page, "digest"), "list", "another"),
		form("version", hidden(t, page, "version"), "digest", "another", "list", hidden(t, page, "list")),
	} {
		b.refusedWith(at+"/approve", f, []string{"Somebody changed this meanwhile"}, nil)
	}
	if n := h.load(string(r.ID)).Notice(noticeTo(t, r, disclosure.ToAnnounceAhead).ID); n.State != disclosure.NoticeFrozen {
		t.Errorf("after refused approvals the notice is %s, want frozen", n.State)
	}
}

// TestHeldAndLetGo: nothing is published while held, and letting go is typed.
func TestHeldAndLetGo(t *testing.T) {
	h := newHouse(t)
	r, _, _ := h.told("Held release")
	h.must(h.DB.Hold(t.Context(), disclosure.System("test"), "A test holds it."))
	b := h.as(h.Rel)
	path := "/releases/" + string(r.ID)
	if a := b.post(path+"/publish", form("version", fmt.Sprint(r.Version), "digest", r.Shown(), "typed", "Held release")); a.code != http.StatusConflict {
		t.Errorf("publish while held: %d, want 409", a.code)
	}
	if body := b.page("/health"); !strings.Contains(body, "A test holds it.") || !strings.Contains(body, "One slot is left.") {
		t.Error("the health page does not say why it is held, and what doctor found")
	}
	b.refusedWith("/held/release", form("typed", "let it go"), []string{"exactly as it stands"}, nil)
	if held, _ := h.DB.Held(t.Context()); held.Since.IsZero() {
		t.Fatal("a wrong word let go")
	}
	b.done("/held/release", form("typed", "let go"))
	if held, _ := h.DB.Held(t.Context()); !held.Since.IsZero() {
		t.Error("still held after letting go")
	}
}

// TestPostponeTellsAnew: who was told gets a draft of the new hour, in words.
func TestPostponeTellsAnew(t *testing.T) {
	h := newHouse(t)
	r, _, _ := h.told("Moved release")
	b := h.as(h.Rel)
	path := "/releases/" + string(r.ID)
	page := b.page(path + "/postpone")
	if !strings.Contains(page, "the distributors (1)") {
		t.Error("the page does not say that the one distributor was told")
	}
	at := h.DB.Now().Add(20 * 24 * time.Hour).Truncate(time.Minute)
	b.done(path+"/postpone", form("version", hidden(t, page, "version"), "at", at.Format("2006-01-02T15:04"), "zone", "UTC", "reason", "not ready"))
	var moved *disclosure.Notice
	for _, n := range h.load(string(r.ID)).Notices {
		if n.Audience == disclosure.ToDistributors && n.Change == disclosure.ChangeMoved {
			moved = n
		}
	}
	if moved == nil || !strings.Contains(moved.Text, at.Format("15:04 UTC")) || !strings.Contains(moved.Text, r.At.Format("15:04 UTC")) {
		t.Fatalf("after postponing: %+v, want a draft with both hours", moved)
	}
	b.done(path+"/call-off", form("version", hidden(t, b.page(path+"/call-off"), "version"), "reason", "no bug after all", "typed", "Moved release"))
	r = h.load(string(r.ID))
	last := r.Notices[len(r.Notices)-1]
	for _, n := range r.Notices {
		if n.Change == disclosure.ChangeCalledOff {
			last = n
		}
	}
	if r.State != disclosure.CalledOff || last.Change != disclosure.ChangeCalledOff || !strings.Contains(last.Text, "is called off") {
		t.Errorf("after calling off: %s, notice %q; want called off, and a draft that says so", r.State, last.Text)
	}
	b.page(path)
	b.page(path + "/publish")
}

// TestTwoMembersPublish: one agrees, another publishes.
func TestTwoMembersPublish(t *testing.T) {
	h := newHouseWith(t, func(toml string) string { return strings.Replace(toml, "members = 1", "members = 2", 1) })
	r, _, _ := h.told("Pair release")
	path := "/releases/" + string(r.ID) + "/publish"
	b := h.as(h.Rel)
	if body := html.UnescapeString(b.page(path)); !strings.Contains(body, "Nobody has agreed yet.") || !strings.Contains(body, "asks for a second member") {
		t.Error("the page does not say that a second member has to agree")
	}
	tri := h.as(h.Tri)
	page := tri.page(path)
	version, digest := hidden(t, page, "version"), hidden(t, page, "digest")
	confirm := "/releases/" + string(r.ID) + "/confirm"
	edit := func(text string) {
		t.Helper()
		h.must(h.DB.UpdateCase(t.Context(), h.Ada, r.Cases[0].ID, func(c *disclosure.Case) error {
			public := c.Public
			public.Summary = text
			return c.SetPublic(public, h.Ada, h.DB.Now())
		}))
	}
	tri.done(confirm, form("version", version, "digest", digest))
	page = b.page(path)
	if !strings.Contains(page, "Agreed: Tri") {
		t.Error("the page does not say who agreed")
	}
	version = hidden(t, page, "version")
	edit("Nothing leaks.")
	if body := b.page(path); !strings.Contains(body, "Nobody has agreed yet.") {
		t.Error("a text that was edited is still agreed to")
	}
	b.refusedWith(path, form("version", version, "digest", digest, "typed", "Pair release"), []string{"was changed since this page was opened"}, nil)
	tri.refusedWith(confirm, form("version", version, "digest", digest), []string{"was changed since this page was opened"}, nil)
	tri.refusedWith(confirm, form("version", version), []string{"was changed since this page was opened"}, nil)
	tri.done(confirm, form("version", version, "digest", hidden(t, tri.page(path), "digest")))
	if body := b.page(path); !strings.Contains(body, "Agreed: Tri") {
		t.Error("the second agreement does not count")
	}
}

// TestPasswordIsChanged: with the one there is, and other sessions end.
func TestPasswordIsChanged(t *testing.T) {
	h := newHouse(t)
	b, elsewhere := h.as(h.Tri), h.as(h.Tri)
	next := "eleven herons cross the mill"
	b.refusedWith("/account/password", form("password_now", "wrong", "password", "short", "password_again", "short"), []string{"This is not your password."}, nil)
	b.done("/account/password", form("password_now", postgrestest.Password, "password", next, "password_again", next))
	in, err := h.DB.SignInOf(t.Context(), h.Tri.Member)
	h.must(err)
	if err := auth.CheckPassword(in.Password, next); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if a := elsewhere.get("/account"); a.code != http.StatusSeeOther {
		t.Errorf("another session after the change: %d, want the sign-in page", a.code)
	}
	b.page("/account")
}

// TestLogForTheAuditor: by a case's number, without a way into the case.
func TestLogForTheAuditor(t *testing.T) {
	h := newHouse(t)
	c := h.accepted("Logged leak")
	h.accepted("Another leak")
	body := h.as(h.Aud).page(fmt.Sprintf("/log?about=%%23%d", c.Number))
	if want := fmt.Sprintf("case #%d", c.Number); !strings.Contains(body, want) || strings.Contains(body, fmt.Sprintf("case #%d<", c.Number+1)) {
		t.Errorf("the log of %s lacks it, or shows another's", want)
	}
	if strings.Contains(body, "Logged leak") || strings.Contains(body, fmt.Sprintf(`href="/cases/%d"`, c.Number)) {
		t.Error("the log shows an auditor a title, or a way into the case")
	}
	if body := h.as(h.Ada).page("/log?kind=case."); !strings.Contains(body, fmt.Sprintf(`href="/cases/%d"`, c.Number)) {
		t.Error("the log shows an admin no way into the case")
	}
}

// TestMailIsEscaped: what is kept in the outbox is shown as it stands.
func TestMailIsEscaped(t *testing.T) {
	h := newHouse(t)
	b := h.as(h.Rel)
	if body := b.page("/outbox"); !strings.Contains(body, "kept mail") {
		t.Error("the outbox does not list the mail by its subject")
	}
	if body := b.page("/outbox/one"); strings.Contains(body, "<b>there</b>") || !strings.Contains(body, "&lt;b&gt;there") {
		t.Error("the mail is not shown escaped")
	}
	if a := b.get("/outbox/..%2Fone"); a.code != http.StatusNotFound {
		t.Errorf("another name: %d, want 404", a.code)
	}
}

// TestUrgentAndNoPatch: what preflight offers besides waiting and uploading.
func TestUrgentAndNoPatch(t *testing.T) {
	h := newHouse(t)
	r := h.release("Leaked release")
	path := "/releases/" + string(r.ID)
	b := h.as(h.Rel)
	version := func() string { return hidden(t, b.page(path), "version") }
	b.refusedWith(path+"/urgent", form("version", version(), "urgent", "yes", "reason", ""), []string{"Say why it is urgent."}, nil)
	b.done(path+"/urgent", form("version", version(), "urgent", "yes", "reason", "it is on a public list"))
	b.done(path+"/versions", form("version", version(), "series_0", "4.2", "number_0", "4.2.9", "no_patch_0", "the fix is a setting"))
	generation := h.load(string(r.ID)).Generation
	b.done(path+"/versions", form("version", version(), "series_0", "4.2", "number_0", "4.2.9", "no_patch_0", "the fix is a setting"))
	b.refusedWith(path+"/artefact", form("version", version(), "series", "4.2", "kind", "pypi", "url", "not an address"), []string{"web address"}, nil)
	b.done(path+"/artefact", form("version", version(), "series", "4.2", "kind", "pypi", "url", "https://pypi.example/lantern/4.2.9"))
	r = h.load(string(r.ID))
	if v := r.Versions[0]; !r.Urgent || v.NoPatch != "the fix is a setting" || len(v.Artefacts) != 1 || r.Generation != generation {
		t.Errorf("release %+v, urgent %t, generation %d; want both kept, and %d", v, r.Urgent, r.Generation, generation)
	}
	for _, f := range r.Missing(disclosure.ToPublish, "", disclosure.Facts{}, h.DB.Now()) {
		if !strings.HasPrefix(f.Field, "notices/") {
			t.Errorf("still in the way of publishing: %s", f.Text)
		}
	}
}

// TestBarShowsWhatOpens: each link of the bar leads to a page for who sees it.
func TestBarShowsWhatOpens(t *testing.T) {
	h := newHouse(t)
	link := regexp.MustCompile(`<li><a href="(/[a-z]+)"`)
	for _, c := range []disclosure.Caller{h.Tri, h.Rel, h.adm, h.Aud} {
		b := h.as(c)
		links := link.FindAllStringSubmatch(b.page("/health"), -1)
		if len(links) < 2 {
			t.Errorf("the bar of %s has %d links", c.Roles, len(links))
		}
		for _, l := range links {
			if a := b.get(l[1]); a.code != http.StatusOK {
				t.Errorf("GET %s from the bar of %s: %d, want 200", l[1], c.Roles, a.code)
			}
		}
	}
}
