package desk_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postern/internal/disclosure"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

// reported is a case with a text of a reporter's own, who has a mailbox.
func (h *house) reported(name, title, text string) (*disclosure.Case, *vault.Mailbox) {
	h.t.Helper()
	code := vault.NewCode()
	box := code.Mailbox(h.DB.Instance())
	arrival := h.Arrive(h.t, postgrestest.Sent{Header: disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID()),
		MailboxPublic: box.Public(), Title: title, Name: name, Address: strings.ToLower(name) + "@finder.example"},
		Parts: []postgrestest.Part{{Bytes: []byte(text)}}})
	h.OpenAll(h.t)
	return h.caseOf(h.CaseOf(h.t, arrival)), box
}

func (h *house) caseOf(id disclosure.CaseID) *disclosure.Case {
	h.t.Helper()
	c, err := h.DB.Case(h.t.Context(), h.Ada, id)
	h.must(err)
	return c
}

func at(c *disclosure.Case) string { return fmt.Sprintf("/cases/%d", c.Number) }

// TestMergeSplitAndUndo: merged and split again from the page, each reporter
// keeps thread, mailbox, credit and time, and nobody's words reach another.
func TestMergeSplitAndUndo(t *testing.T) {
	h := newHouse(t)
	ann, annBox := h.reported("Ann", "Lantern leaks oil", "canary-ann: it drips")
	bob, bobBox := h.reported("Bob", "Oil comes out", "canary-bob: it spills")
	b := h.as(h.Ada)
	b.done(at(bob)+"/credit", form("version", fmt.Sprint(bob.Version), "reporter", string(bob.Reporters[0].ID), "credit", "yes", "credit_text", "Bob B."))
	if to := b.done(at(bob)+"/merge", form("duplicate_of", fmt.Sprint(ann.Number))); to != at(ann) {
		t.Errorf("merging leads to %s, want %s", to, at(ann))
	}
	merged := h.caseOf(ann.ID)
	if len(merged.Reporters) != 2 {
		t.Fatalf("%d reporters after merging, want 2", len(merged.Reporters))
	}
	for i, before := range []disclosure.Reporter{ann.Reporters[0], bob.Reporters[0]} {
		r := merged.Reporter(before.ID)
		if r == nil || !r.Received.Equal(before.Received) || r.Mailbox != before.Mailbox {
			t.Errorf("reporter %d lost time or mailbox by merging", i)
		}
	}
	if got := merged.Reporter(bob.Reporters[0].ID).Credit.Text; got != "Bob B." {
		t.Errorf("Bob's credit is %q after merging", got)
	}
	page := b.page(at(ann) + "?lane=" + url.QueryEscape("reporter:"+string(bob.Reporters[0].ID)))
	if !strings.Contains(page, "canary-bob") || strings.Contains(page, "canary-ann") {
		t.Error("Bob's lane lacks his words, or has Ann's")
	}
	for name, box := range map[string]*vault.Mailbox{"Ann": annBox, "Bob": bobBox} {
		rows, err := h.Gate.MailboxRead(t.Context(), disclosure.MailboxID(box.ID()), "")
		h.must(err)
		for _, row := range rows {
			text, err := box.Open(disclosure.MailboxInfo(string(h.DB.Instance()), disclosure.MailboxID(box.ID()), row.ID, row.Kind), row.Sealed)
			h.must(err)
			for _, other := range []string{"Ann", "Bob", "canary-ann", "canary-bob", "duplicate"} {
				if other != name && strings.Contains(string(text), other) {
					t.Errorf("%s's mailbox says %q: %s", name, other, text)
				}
			}
		}
	}
	if closed := b.page(at(bob)); !strings.Contains(closed, fmt.Sprintf("Merged into #%d", ann.Number)) {
		t.Error("the merged case does not say where its reporters are")
	}
	b.done(at(bob)+"/split", form("duplicate_of", fmt.Sprint(ann.Number)))
	if got := h.caseOf(bob.ID); len(got.Reporters) != 1 || got.Reporters[0].Name != "Bob" || got.Merged != "" || got.State == disclosure.Closed {
		t.Errorf("after splitting #%d has %d reporters, state %s", got.Number, len(got.Reporters), got.State)
	}
	if page := b.page(at(ann)); strings.Contains(page, "canary-bob") {
		t.Error("Bob's words stayed behind")
	}
}

// TestLikelyDuplicates: the case page names open cases like it, the same bytes
// and the same sender, and nothing the reader may not see.
func TestLikelyDuplicates(t *testing.T) {
	h := newHouse(t)
	text := "Path traversal when an archive member name holds dot dot segments, so extraction writes outside the folder"
	one, _ := h.reported("Ann", "Archive extraction escapes the folder", text)
	hidden, _ := h.reported("Cid", "Archive traversal canary-hidden", text+" with symlinks")
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, hidden.ID, func(c *disclosure.Case) error { return c.Restrict(nil, h.Ada, h.DB.Now()) }))
	h.reported("Eve", "The color of the lamp", "The lamp's paint is green in the manual and red in the shop.")
	h.reported("Fay", "Clock runs late", "The clock on the tower is four minutes behind the station.")
	two, _ := h.reported("Ann", "Traversal in archive extraction", text)
	page := h.as(h.Tri).page(at(two))
	likely := section(page, `id="likely"`)
	if !strings.Contains(likely, at(one)+`"`) || strings.Contains(likely, "lamp") {
		t.Errorf("likely the same:\n%s\nwant #%d and not the lamp", likely, one.Number)
	}
	earlier := section(page, `id="earlier"`)
	if !strings.Contains(earlier, at(one)+`"`) || !strings.Contains(earlier, "very same bytes") || !strings.Contains(earlier, "Also from Ann") {
		t.Errorf("came before:\n%s\nwant #%d by bytes and sender", earlier, one.Number)
	}
	if strings.Contains(page, "canary-hidden") || strings.Contains(page, at(hidden)+`"`) {
		t.Error("a restricted case is shown to who may not see it")
	}
	if page := h.as(h.Ada).page(at(two)); !strings.Contains(section(page, `id="likely"`), "canary-hidden") {
		t.Error("a restricted case is not suggested to who may see it")
	}
	h.DB.Vault().Lock()
}

func section(page, mark string) string {
	_, rest, ok := strings.Cut(page, mark)
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "</ul>")
	return rest
}

var drafts = regexp.MustCompile(`(?s)<textarea[^>]*id="reply-[^"]*"[^>]*>(.*?)</textarea>`)

// draftOn is what the composer of a page holds.
func draftOn(t *testing.T, page string) string {
	t.Helper()
	for _, m := range drafts.FindAllStringSubmatch(page, -1) {
		if strings.TrimSpace(m[1]) != "" {
			return html.UnescapeString(m[1])
		}
	}
	t.Fatal("no composer on the page holds a letter")
	return ""
}

const weak = `
[[reasons]]
name = "documented as weak"
verdict = "not-a-vulnerability"
text = "Our documentation calls this weak."
`

// closed closes a case on its page and returns the letter offered then, and
// what the reporter reads of it.
func (h *house) closed(c *disclosure.Case, pairs ...string) (draft string) {
	h.t.Helper()
	b := h.as(h.Ada)
	b.done(at(c)+"/acknowledge", form("version", fmt.Sprint(c.Version)))
	to := b.done(at(c)+"/close", form(append([]string{"version", fmt.Sprint(h.caseOf(c.ID).Version)}, pairs...)...))
	draft = draftOn(h.t, b.page(to))
	b.done(at(c)+"/reply", form("lane", "reporter", "lane_id", string(c.Reporters[0].ID), "text", draft))
	thread, err := h.DB.Thread(h.t.Context(), h.Ada, c.ID)
	h.must(err)
	if got := thread[len(thread)-1].Text; strings.TrimSpace(got) != strings.TrimSpace(draft) {
		h.t.Errorf("what leaves is %q, want the letter that was shown, %q", got, draft)
	}
	return draft
}

// TestC3CitedPage: the verdict keeps the page of the documentation it rests
// on, and the reporter is told it.
func TestC3CitedPage(t *testing.T) {
	h := newHouse(t)
	c, _ := h.reported("Ann", "ECB", "It is ECB.")
	draft := h.closed(c, "verdict", "not-a-vulnerability", "cited", "https://lantern.example/docs/ecb", "verdict_note", "canary-inside")
	if !strings.Contains(draft, "https://lantern.example/docs/ecb") || strings.Contains(draft, "canary-inside") {
		t.Errorf("the letter is\n%s\nwant the cited page, and not the note that stays inside", draft)
	}
	if got := h.caseOf(c.ID); got.Cited != "https://lantern.example/docs/ecb" {
		t.Errorf("the case keeps %q", got.Cited)
	}
}

// TestC6CannedReason: a reason in the policy's words reaches the reporter.
func TestC6CannedReason(t *testing.T) {
	h := newHouseWith(t, func(toml string) string { return toml + weak })
	c, _ := h.reported("Ann", "ECB", "It is ECB.")
	draft := h.closed(c, "verdict", "not-a-vulnerability", "canned", "documented as weak")
	if !strings.Contains(draft, "Our documentation calls this weak.") || !strings.Contains(draft, h.Ada.Name) {
		t.Errorf("the letter is\n%s\nwant the policy's reason and the member's name", draft)
	}
}

// TestC8FilePublicly: the reporter gets a text to begin a public issue from,
// without a word of the report, and is not told no.
func TestC8FilePublicly(t *testing.T) {
	h := newHouse(t)
	c, _ := h.reported("Ann", "canary-title", "canary-text")
	draft := h.closed(c, "verdict", "file-publicly")
	if !strings.Contains(draft, "Title: [") || !strings.Contains(draft, "no\nrejection") || strings.Contains(draft, "canary") {
		t.Errorf("the letter is\n%s\nwant a redacted template", draft)
	}
	if disclosure.FilePublicly.Rejects() || !disclosure.NotVulnerability.Rejects() {
		t.Error("which verdicts count as rejected")
	}
}

// TestD7UnencryptedMail: for a reporter by mail without a key the page says
// that it would travel unencrypted, and offers a key or a mailbox instead.
func TestD7UnencryptedMail(t *testing.T) {
	h := newHouse(t)
	arrival := h.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail,
		Header: disclosure.ArrivalHeader{Name: "Ann", Address: "ann@finder.example"}})
	h.OpenAll(t)
	c := h.caseOf(h.CaseOf(t, arrival))
	lane := "reporter:" + string(c.Reporters[0].ID)
	b := h.as(h.Ada)
	page := b.page(at(c) + "?lane=" + url.QueryEscape(lane))
	for _, want := range []string{"would travel unencrypted", "Ask for a key", "Invite to a mailbox"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	reply := func(letter, text string) int {
		return b.post(at(c)+"/reply", form("lane", "reporter", "lane_id", string(c.Reporters[0].ID), "letter", letter, "text", text, "clear", "yes")).code
	}
	draft := draftOn(t, b.page(at(c)+"?lane="+url.QueryEscape(lane)+"&letter=ask-key"))
	if got := reply("ask-key", draft+" And the bug is in the lid."); got != http.StatusUnprocessableEntity {
		t.Errorf("a changed letter in clear: %d, want 422", got)
	}
	if got := reply("ask-key", draft); got != http.StatusSeeOther {
		t.Errorf("the letter word for word: %d, want 303", got)
	}
	b.done(at(c)+"/invite", form("reporter", string(c.Reporters[0].ID)))
	thread, err := h.DB.Thread(t.Context(), h.Ada, c.ID)
	h.must(err)
	if last := thread[len(thread)-1].Text; !strings.Contains(last, "http://gate.example/mailbox?invite=") {
		t.Errorf("the invitation is\n%s", last)
	}
	key := newKey(t, "Ann", "ann@finder.example", h.DB.Now())
	b.done(at(c)+"/key", form("version", fmt.Sprint(h.caseOf(c.ID).Version), "reporter", string(c.Reporters[0].ID), "key", string(key.Certificate().Armored())))
	if got := reply("", "The bug is in the lid."); got != http.StatusSeeOther {
		t.Errorf("an answer once there is a key: %d, want 303", got)
	}
}

// TestPauseIntake: the switch shows its notice in public at once, and mail is
// taken in order meanwhile.
func TestPauseIntake(t *testing.T) {
	h := newHouse(t)
	b := h.as(h.Ada)
	gate := func() *disclosure.GateFile {
		t.Helper()
		docs, err := h.DB.Documents(t.Context())
		h.must(err)
		for _, d := range docs {
			if d.Path == disclosure.GateFilePath {
				g, err := disclosure.ParseGateFile(d.Bytes)
				h.must(err)
				return g
			}
		}
		t.Fatal("there is no gate file")
		return nil
	}
	if a := b.post("/policy/pause", form("do", "pause", "notice", " ")); a.code == http.StatusSeeOther {
		t.Error("a pause without a notice was taken")
	}
	b.done("/policy/pause", form("do", "pause", "notice", "We are flooded; back on Monday."))
	if got := gate(); got.Notice != "We are flooded; back on Monday." {
		t.Errorf("the gate says %q", got.Notice)
	}
	if page := b.page("/inbox"); !strings.Contains(page, "We are flooded") {
		t.Error("the desk does not say that intake is paused")
	}
	arrival := h.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail})
	h.OpenAll(t)
	h.CaseOf(t, arrival)
	b.done("/policy/pause", form("do", "resume"))
	if got := gate(); got.Notice != "" {
		t.Errorf("after resuming the gate says %q", got.Notice)
	}
}

// TestD7PlannedDate: once reporters were told, the planned date stands in the
// mailbox and the notice in the lane; before that it does not.
func TestD7PlannedDate(t *testing.T) {
	h := newHouse(t)
	r := h.release("May release")
	c := r.Cases[0]
	items := func() (n int) {
		t.Helper()
		rows, err := h.Gate.MailboxRead(t.Context(), c.Reporters[0].Mailbox, "")
		h.must(err)
		return len(rows)
	}
	// Who has a mailbox reads the date there, and gets no mail of it.
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, c.ID, func(c *disclosure.Case) error {
		c.Reporters[0].Address = "finn@example.org"
		return c.AddReporter(disclosure.Reporter{ID: "by-mail", Name: "Mailo", Address: "mailo@example.org", Channel: disclosure.ByMail}, h.Ada, h.DB.Now())
	}))
	before := items()
	if got := h.caseOf(c.ID); !got.MailboxStatus(got.Reporters[0], h.DB.Now()).Planned.IsZero() {
		t.Fatal("the status has a planned date before anybody was told")
	}
	b := h.as(h.Rel)
	digest := h.approved(b, r.ID, disclosure.ToReporters)
	n := noticeTo(t, h.load(string(r.ID)), disclosure.ToReporters)
	if list, err := h.DB.Recipients(t.Context(), h.Rel, n.ID); err != nil || len(list) != 0 {
		t.Errorf("the date goes by mail to %v, %v; want nobody", list, err)
	}
	if page := b.page("/releases/" + string(r.ID) + "/notices/" + string(n.ID)); !strings.Contains(page, `id="untold"`) || !strings.Contains(page, "Mailo") {
		t.Error("the page does not name the reporter whom the notice cannot reach")
	}
	send := "/releases/" + string(r.ID) + "/notices/" + string(n.ID) + "/send"
	b.done(send, form("version", hidden(t, b.page(send), "version"), "digest", digest, "typed", "May release"))
	if _, err := h.DB.SweepDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	for want := 1; want >= 0; want-- {
		told, err := h.DB.TellMailboxes(t.Context(), disclosure.System("mailboxes"))
		if err != nil || told != want {
			t.Fatalf("TellMailboxes = %d, %v, want %d", told, err, want)
		}
	}
	got := h.caseOf(c.ID)
	if status := got.MailboxStatus(got.Reporters[0], h.DB.Now()); !status.Planned.Equal(r.At) {
		t.Errorf("the status says %s, want %s", status.Planned, r.At)
	}
	if items() != before+2 {
		t.Errorf("%d items in the mailbox, want the notice and a status more than %d", items(), before)
	}
	if other := got.Reporter("by-mail"); other == nil || !other.ToldDate.IsZero() {
		t.Errorf("who was not told has the date on record: %+v", other)
	}
	thread, err := h.DB.Thread(t.Context(), h.Ada, c.ID)
	h.must(err)
	if last := thread[len(thread)-1]; last.Letter != "reporters" || last.State != disclosure.MessageOut {
		t.Errorf("the lane ends with %q, %s", last.Letter, last.State)
	}

	// That it is called off is told in the same place, though the case has left the release.
	off := "/releases/" + string(r.ID) + "/call-off"
	b.done(off, form("version", hidden(t, b.page(off), "version"), "reason", "not ours", "typed", "May release"))
	n = nil
	for _, x := range h.load(string(r.ID)).Notices {
		if x.Audience == disclosure.ToReporters && x.Change == disclosure.ChangeCalledOff && x.State == disclosure.NoticeDraft {
			n = x
		}
	}
	if n == nil {
		t.Fatal("no notice to the reporters of the calling-off")
	}
	at := "/releases/" + string(r.ID) + "/notices/" + string(n.ID)
	b.done(at+"/freeze", form("version", hidden(t, b.page(at), "version")))
	page := b.page(at)
	b.done(at+"/approve", form("version", hidden(t, page, "version"), "digest", hidden(t, page, "digest"), "list", hidden(t, page, "list")))
	page = b.page(at + "/send")
	b.done(at+"/send", form("version", hidden(t, page, "version"), "digest", hidden(t, page, "digest"), "typed", "May release"))
	if _, err := h.DB.SweepDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	had := items()
	if told, err := h.DB.TellMailboxes(t.Context(), disclosure.System("mailboxes")); err != nil || told != 1 || items() <= had {
		t.Errorf("TellMailboxes of the calling-off = %d, %v, with %d items after %d; want it in the mailbox", told, err, items(), had)
	}
	if got := h.caseOf(c.ID); !got.Reporters[0].ToldDate.IsZero() {
		t.Errorf("a date stays told: %s", got.Reporters[0].ToldDate)
	}
}
