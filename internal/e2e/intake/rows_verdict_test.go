package intake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
)

// cryptoTeam is a team under the policy of the C rows.
func cryptoTeam(t *testing.T, changes ...string) *team {
	t.Helper()
	return newTeam(t, world.Config{Policy: preset(t, "pyca-cryptography", append([]string{"security@cryptography.example", address}, changes...)...)})
}

// byForm reports by the web form and returns the mailbox code.
func (w *team) byForm(fields ...world.Field) (found, string) {
	w.t.Helper()
	p := w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", fields)
	code := p.Value("form-open", "code")
	if p.Status != http.StatusCreated || code == "" {
		w.t.Fatalf("the form answered %d: %s", p.Status, p.Text())
	}
	return w.newest(), code
}

// mailbox is what the holder of a code reads.
func (w *team) mailbox(code string) *world.Page {
	w.t.Helper()
	return w.Visit(w.GateURL).Get("/mailbox").OK().Submit("form-mailbox", []world.Field{{Name: "code", Value: code}}).OK()
}

func casePath(f found) string { return fmt.Sprintf("/cases/%d", f.c.Number) }

// closes acknowledges and closes a case at the desk, sends the letter that is
// offered then as it stands, and returns what the reporter's mailbox shows.
func (w *team) closes(v *world.Visitor, f found, code string, verdict ...world.Field) *world.Page {
	w.t.Helper()
	if f.c.State == disclosure.Received {
		v.Get(casePath(f)).OK().SubmitTo("/acknowledge", nil).OK()
	}
	offered := v.Get(casePath(f)).OK().SubmitTo("/close", verdict).OK()
	offered.Submit("form-reply-"+string(f.c.Reporters[0].ID), nil).OK()
	w.Advance(31 * time.Second)
	w.Settle()
	return w.mailbox(code)
}

// TestC3VerdictCitesTheDocumentation: the case keeps the page that a verdict
// rests on, and the reporter is told it.
func TestC3VerdictCitesTheDocumentation(t *testing.T) {
	w := cryptoTeam(t)
	const cited = "https://cryptography.example/docs/hazmat/modes#ecb"
	tove := w.SignedIn("Tove")
	f, code := w.byForm(world.Field{Name: "description", Value: "ECB shows the penguin."})
	read := w.closes(tove, f, code, world.Field{Name: "verdict", Value: "not-a-vulnerability"}, world.Field{Name: "cited", Value: cited},
		world.Field{Name: "verdict_note", Value: "canary-for-us"})
	read.Has(cited)
	if strings.Contains(read.Text(), "canary") {
		t.Error("the reporter reads the note that stays in the team")
	}
	tove.Get(casePath(f)).OK().Has(cited, "canary-for-us")
	if got := w.look(f).c; got.Cited != cited || got.State != disclosure.Closed {
		t.Errorf("the case is %s and cites %q, want closed and %q", got.State, got.Cited, cited)
	}
	bare, code := w.byForm(world.Field{Name: "description", Value: "Another one."})
	if read := w.closes(tove, bare, code, world.Field{Name: "verdict", Value: "out-of-scope"}); strings.Contains(read.Text(), cited) {
		t.Error("another verdict cites the first one's page")
	}
}

// TestC4ThreatModelIsAskedAndNeverNeeded: the form asks for a threat model,
// folded away; nothing but a description is needed, and no proof of concept;
// where it is given, by form or API, the team reads it beside the report.
func TestC4ThreatModelIsAskedAndNeverNeeded(t *testing.T) {
	w := cryptoTeam(t)
	tove := w.SignedIn("Tove")
	page := w.Visit(w.GateURL).Get("/report").OK()
	if more := page.TextOf("more"); !strings.Contains(more, "threat model") {
		t.Errorf("behind %q there is no threat model: %s", "More, if you have it", more)
	}
	if n := strings.Count(string(page.Body), " required"); n != 1 {
		t.Errorf("the form has %d required fields, want the description alone", n)
	}
	f, _ := w.byForm(world.Field{Name: "description", Value: "Padding can be told from other failures."})
	if f.c == nil || f.c.State != disclosure.Received {
		t.Fatalf("without proof and threat model the case is %+v", f.c)
	}
	if text := tove.Get(casePath(f)).OK().Text(); strings.Contains(text, "Threat model") {
		t.Error("the case shows a threat model nobody gave")
	}
	f, _ = w.byForm(world.Field{Name: "description", Value: "Padding can be told from other failures."}, world.Field{Name: "ask_threat-model", Value: "A stranger who can time the answers."})
	tove.Get(casePath(f)).OK().Has("Threat model", "A stranger who can time the answers.")
	b, err := json.Marshal(disclosure.ReportJSON{Description: "By a program.", Answers: map[string]string{"threat-model": "Whoever shares the machine."}})
	must(t, err)
	w.api(t, "application/json", b)
	tove.Get(casePath(w.newest())).OK().Has("Threat model", "Whoever shares the machine.")
	without := newTeam(t, world.Config{})
	if text := without.Visit(without.GateURL).Get("/report").OK().Text(); strings.Contains(text, "threat model") {
		t.Error("a policy that does not ask for a threat model still shows it")
	}
}

// TestC5PageShowsTheExamplesOfThePolicy: the examples of what is and what is
// not a vulnerability are those of the policy in force, and change with it.
func TestC5PageShowsTheExamplesOfThePolicy(t *testing.T) {
	w := cryptoTeam(t)
	p := preset(t, "pyca-cryptography")
	examples := []string{
		"Any public API that fails the guarantees a reasonable developer expects from its documentation.",
		"The project's infrastructure: its site, its packages, its build machines.",
		"If you are unsure, report it privately.",
		"What the documentation calls weak, such as ECB mode.",
		"An operation in variable time, when no program can be named that suffers from it.",
	}
	text := w.Visit(w.GateURL).Get("/").OK().Text()
	for _, e := range examples {
		if !strings.Contains(p, e) || strings.Count(text, e) != 1 {
			t.Errorf("the page says %d times %q, want once, as the policy does", strings.Count(text, e), e)
		}
	}
	changed := strings.Replace(strings.Replace(p, "security@cryptography.example", address, 1), examples[0], "A key that comes out of the API by accident.", 1)
	changed = strings.Replace(changed, `  "`+examples[3]+`",`+"\n", "", 1)
	ada := w.SignedIn("Ada")
	ada.Get("/policy").OK().Submit("form-policy", []world.Field{{Name: "policy", Value: changed}, {Name: "do", Value: "apply"}}).OK()
	w.Settle()
	w.Ready()
	text = w.Visit(w.GateURL).Get("/").OK().Text()
	for e, want := range map[string]int{"A key that comes out of the API by accident.": 1, examples[0]: 0, examples[1]: 1, examples[2]: 1, examples[3]: 0, examples[4]: 1} {
		if got := strings.Count(text, e); got != want {
			t.Errorf("after the change the page says %d times %q, want %d", got, e, want)
		}
	}
}

// TestC6ReasonInThePolicysWords: a report of what is documented as weak is
// answered in the words the policy has for it, and those of another reason are
// not said.
func TestC6ReasonInThePolicysWords(t *testing.T) {
	w := cryptoTeam(t)
	tove := w.SignedIn("Tove")
	const weak, variable = "What you describe is weak, and our documentation says so", "The operation takes variable time."
	for reason, x := range map[string]struct{ said, unsaid string }{
		"documented as weak": {weak, variable}, "variable time, no program": {variable, weak},
	} {
		f, code := w.byForm(world.Field{Name: "description", Value: "About " + reason + "."})
		read := w.closes(tove, f, code, world.Field{Name: "verdict", Value: "not-a-vulnerability"}, world.Field{Name: "canned", Value: reason})
		read.Has(x.said)
		if strings.Contains(read.Text(), x.unsaid) {
			t.Errorf("%s: the reporter is told the other reason", reason)
		}
	}
}

// figure is a number of the desk's page of figures, of the only period there is.
func figure(t testing.TB, v *world.Visitor, label string) string {
	t.Helper()
	body := string(v.Get("/figures").OK().Body)
	cells := strings.Split(body, `data-label="`+label+`">`)
	if len(cells) != 2 {
		t.Fatalf("/figures has %d cells called %q, want 1", len(cells)-1, label)
	}
	text, _, _ := strings.Cut(cells[1], "</td>")
	return strings.Join(strings.Fields(text), " ")
}

// TestC8FilePubliclyIsNoRejection: the reporter gets a text to file publicly
// without a word of the report; the case closes, nothing becomes public, and
// the figures count it apart from what was rejected. A restricted case moves no
// figure of who may not see it.
func TestC8FilePubliclyIsNoRejection(t *testing.T) {
	w := cryptoTeam(t)
	tove, ravi := w.SignedIn("Tove"), w.SignedIn("Ravi")
	tove.Get("/figures").OK().Has("No report has come yet.")
	f, code := w.byForm(world.Field{Name: "description", Value: "canary-one: the button is green."}, world.Field{Name: "name", Value: "canary-name"})
	before := publicPages(w)
	read := w.closes(tove, f, code, world.Field{Name: "verdict", Value: "file-publicly"}, world.Field{Name: "verdict_note", Value: "canary-note"})
	read.Has("file", "Title: [", "rejection")
	if strings.Contains(read.Text(), "canary") {
		t.Errorf("the text to file publicly holds words of the report: %s", read.Text())
	}
	if got := w.look(f).c; got.State != disclosure.Closed || got.Verdict != disclosure.FilePublicly || !got.DisclosedAt.IsZero() {
		t.Errorf("the case is %s as %s", got.State, got.Verdict)
	}
	if after := publicPages(w); after != before {
		t.Error("a public page changed by the verdict")
	}
	want := func(v *world.Visitor, who string, figures map[string]string) {
		t.Helper()
		for label, n := range figures {
			if got := figure(t, v, label); got != n {
				t.Errorf("%s reads %s: %q, want %q", who, label, got, n)
			}
		}
	}
	want(tove, "Tove", map[string]string{"Received": "1", "Open": "0", "Rejected": "0", "Asked to file publicly": "1", "First answer in time": "100 % (1 of 1)"})
	second, code := w.byForm(world.Field{Name: "description", Value: "No vulnerability."})
	w.closes(tove, second, code, world.Field{Name: "verdict", Value: "not-a-vulnerability"})
	w.byForm(world.Field{Name: "description", Value: "Nobody answers this one."})
	w.Advance(49 * time.Hour)
	all := map[string]string{"Received": "3", "Open": "1", "Rejected": "1", "Asked to file publicly": "1", "First answer in time": "66 % (2 of 3)"}
	want(tove, "Tove", all)
	want(ravi, "Ravi", all)
	// One that Ravi may not see.
	hidden, code := w.byForm(world.Field{Name: "description", Value: "About Ravi himself."})
	tove.Get(casePath(hidden)).OK().SubmitTo("/acknowledge", nil).OK()
	hidden = w.look(hidden) // Ada may see it no more afterwards
	must(t, w.DB.UpdateCase(t.Context(), w.Member("Tove"), hidden.id, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{w.Member("Tove").Member}, w.Member("Tove"), w.DB.Now())
	}))
	w.closes(tove, hidden, code, world.Field{Name: "verdict", Value: "out-of-scope"})
	want(ravi, "Ravi", all)
	want(tove, "Tove", map[string]string{"Received": "4", "Rejected": "2", "Asked to file publicly": "1"})
	if p := w.SignedIn("Olek").Get("/figures"); p.Status != http.StatusNotFound {
		t.Errorf("an auditor's /figures answers %d, want 404", p.Status)
	}
	if p := w.Visit(w.DeskURL).Get("/figures"); p.URL.Path != "/sign-in" {
		t.Errorf("a stranger's /figures leads to %s, want the sign-in page", p.URL.Path)
	}
}

// publicPages is what the gate's own pages say to everybody.
func publicPages(w *team) string {
	var b strings.Builder
	for _, path := range []string{"/", "/upcoming", "/advisories", "/feed.atom", "/.well-known/security.txt"} {
		b.WriteString(w.Visit(w.GateURL).Get(path).Text())
	}
	return b.String()
}

// TestC11FingerprintIsTheKeys: wherever a page shows the team key's
// fingerprint, it is in full, in groups, and gpg finds the same one in the key
// that is served.
func TestC11FingerprintIsTheKeys(t *testing.T) {
	world.Need(t, "gpg")
	w := cryptoTeam(t)
	v := w.Visit(w.GateURL)
	shown := func(key []byte) string {
		t.Helper()
		out, _ := world.NewGPG(t).Run(key, "--with-colons", "--show-keys")
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(line, ":"); f[0] == "fpr" {
				return f[9]
			}
		}
		t.Fatalf("gpg finds no key: %s", out)
		return ""
	}
	print := shown(v.Get("/key.asc").OK().Body)
	if len(print) != 40 {
		t.Errorf("the fingerprint %q has not 40 digits", print)
	}
	for _, path := range []string{"/", "/report"} {
		v.Get(path).OK().Has(fingerprint(print))
	}
	text := v.Get("/.well-known/security.txt").OK().Text()
	_, line, ok := strings.Cut(text, "\nEncryption: ")
	line, _, _ = strings.Cut(line, "\n")
	if !ok || shown(v.Get(strings.TrimSpace(line)).OK().Body) != print {
		t.Errorf("security.txt leads to %q, which is not the key %s:\n%s", line, print, text)
	}
}
