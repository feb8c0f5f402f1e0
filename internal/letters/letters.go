// Package letters holds every text Postern sends or posts, made from typed
// data. A notice's template is given a Brief in which what its audience may
// not know is absent, so no template, not even one a team has overridden, can
// print it. Letters are plain text; nothing is wrapped that came from a person.
package letters

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
	"time"

	"postern/internal/disclosure"
)

//go:embed en/*.txt
var builtIn embed.FS

// Letter is one text, ready to be edited or sent.
type Letter struct {
	Name    string // of the template
	Subject string // one line
	Text    string // LF line ends, ends with one LF
}

// Letters renders texts in every language it has; English is always there.
type Letters struct {
	sets map[string]*template.Template // language → templates by name
}

// New parses the built-in templates and, over them, a team's own: files named
// <language>/<name>.txt whose first line is "Subject: …" and whose second is
// empty. Every fault of every file is reported at once. overrides may be nil.
func New(overrides fs.FS) (*Letters, error) {
	l := &Letters{sets: map[string]*template.Template{}}
	if err := l.add(builtIn); err != nil {
		return nil, err
	}
	if overrides == nil {
		return l, nil
	}
	return l, l.add(overrides)
}

func (l *Letters) add(files fs.FS) error {
	names, err := fs.Glob(files, "*/*.txt")
	if err != nil {
		return fmt.Errorf("list the letters: %w", err)
	}
	var faults []error
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if !bytes.HasPrefix(text, []byte("Subject: ")) {
			faults = append(faults, fmt.Errorf("%s: the first line has to be \"Subject: …\"", name))
			continue
		}
		lang := path.Dir(name)
		set := l.sets[lang]
		if set == nil {
			set = template.New(lang).Funcs(funcs).Option("missingkey=error")
			l.sets[lang] = set
		}
		if _, err := set.New(strings.TrimSuffix(path.Base(name), ".txt")).Parse(string(text)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

// Languages lists what New found.
func (l *Letters) Languages() []string {
	var all []string
	for lang := range l.sets {
		all = append(all, lang)
	}
	slices.Sort(all)
	return all
}

func (l *Letters) render(lang, name string, data any) (Letter, error) {
	set := l.sets[lang]
	if set == nil || set.Lookup(name) == nil {
		set = l.sets["en"]
	}
	if set.Lookup(name) == nil {
		return Letter{}, fmt.Errorf("no letter is called %q", name)
	}
	var b strings.Builder
	if err := set.ExecuteTemplate(&b, name, data); err != nil {
		return Letter{}, fmt.Errorf("write the letter %q: %w", name, err)
	}
	subject, text, _ := strings.Cut(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n")
	subject = strings.Join(strings.Fields(strings.TrimPrefix(subject, "Subject: ")), " ")
	return Letter{Name: name, Subject: subject, Text: tidy(text)}, nil
}

// tidy drops trailing blanks and runs of empty lines that optional parts of a
// template leave behind; lines themselves are left as they are.
func tidy(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t")
		if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, line)
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}

// Notice drafts the text for the brief's audience.
func (l *Letters) Notice(lang string, b disclosure.Brief) (Letter, error) {
	return l.render(lang, string(b.Audience), b)
}

// Notification is the fixed mail to a member. It holds an id, a link and a
// number, because mail may be read on its way.
type Notification struct {
	Project string
	Kind    disclosure.AlertKind
	Link    string
	Number  int // of waiting reports, for "locked"
	Since   time.Time
}

// Notification writes it.
func (l *Letters) Notification(lang string, n Notification) (Letter, error) {
	return l.render(lang, "notification", n)
}

// Answer is what a letter to a reporter may say.
type Answer struct {
	Project disclosure.Project
	Contact string
	Member  string // who writes
	Verdict disclosure.Verdict
	Ack     string // "48 hours"
	URL     string // of the gate
	CVE     string
	At      time.Time // planned date, when the reporter may know it
	Zone    string
	Reason  string // of a verdict, in the project's or the member's words
	Cited   string // the page of the documentation a verdict rests on
	Series  string // for a text to file in public; empty: left to the reporter
	Link    string // of an invitation to a mailbox; At is when it ends
	List    string // the public list for announcements; empty: there is none
}

// Answers lists the letters a member may start a reply from, in the order in
// which a case usually needs them.
var Answers = []string{"acknowledgment", "need-more", "accepted", "patch-check", "planned-date", "ask-key"}

// Answer drafts a reply: one of Answers, or "closed-" and a verdict.
func (l *Letters) Answer(lang, name string, a Answer) (Letter, error) { return l.render(lang, name, a) }

// Closing drafts what the reporter is told when a case is closed.
func (l *Letters) Closing(lang string, a Answer) (Letter, error) {
	return l.render(lang, "closed-"+string(a.Verdict), a)
}

// Invitation is the one-time link for a new member.
type Invitation struct {
	Project, Name, Link string
	Until               time.Time
}

// Invitation writes it.
func (l *Letters) Invitation(lang string, i Invitation) (Letter, error) {
	return l.render(lang, "invitation", i)
}

// NoticeJSON is the machine's part of a private notice: the same facts as the
// text, nothing more (docs/mail.md names its keys, which are lower case all
// through). The bytes depend on the brief alone.
func NoticeJSON(b disclosure.Brief) ([]byte, error) {
	type affected struct {
		Series   string `json:"series"`
		Effect   string `json:"effect"`
		Versions string `json:"versions,omitempty"`
	}
	type issue struct {
		Advisory string     `json:"advisory"`
		CVE      string     `json:"cve,omitempty"`
		Title    string     `json:"title"`
		Severity string     `json:"severity,omitempty"`
		Affected []affected `json:"affected,omitempty"`
	}
	type patch struct {
		Name   string `json:"name"`
		Series string `json:"series,omitempty"`
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
	n := struct {
		Format   string               `json:"format"`
		Audience disclosure.Audience  `json:"audience"`
		Project  string               `json:"project"`
		Release  disclosure.ReleaseID `json:"release"`
		Public   string               `json:"public_at"`
		TLP      string               `json:"tlp"`
		Issues   []issue              `json:"issues"`
		Patches  []patch              `json:"patches,omitempty"`
	}{Format: "postern-notice/1", Audience: b.Audience, Project: b.Project.Name, Release: b.Release,
		Public: b.At.UTC().Format(time.RFC3339), TLP: TLP(b.Audience), Issues: []issue{}}
	for _, i := range b.Issues {
		x := issue{Advisory: i.PublicName, CVE: i.CVE, Title: i.Text.Title, Severity: i.Severity.Level}
		for _, a := range i.Affected {
			x.Affected = append(x.Affected, affected{a.Series, string(a.Effect), a.Versions})
		}
		n.Issues = append(n.Issues, x)
	}
	for _, p := range b.Patches {
		n.Patches = append(n.Patches, patch{p.Name, p.Series, p.SHA256, p.Size})
	}
	out, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write notice.json: %w", err)
	}
	return append(out, '\n'), nil
}

// TLP is the label of an audience (FIRST TLP 2.0).
func TLP(a disclosure.Audience) string {
	if a.Private() {
		return "TLP:AMBER+STRICT"
	}
	return "TLP:CLEAR"
}

var funcs = template.FuncMap{
	"tlp":   TLP,
	"join":  strings.Join,
	"utc":   func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006, 15:04 UTC") },
	"day":   func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006") },
	"clock": func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"local": func(t time.Time, zone string) string {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "" || zone == "UTC" {
			return ""
		}
		return t.In(loc).Format("15:04 in ") + zone
	},
	"line":    func(text string) string { return strings.Join(strings.Fields(text), " ") },
	"trim":    strings.TrimSpace,
	"numbers": numbers,
	"plural": func(n int, one, many string) string {
		if n == 1 {
			return "one " + one
		}
		return count(n) + " " + many
	},
	"levels":    levels,
	"underline": func(mark, text string) string { return strings.Repeat(mark, len([]rune(text))) },
	"effect": func(a disclosure.Affected) string {
		switch a.Effect {
		case disclosure.Affects:
			if a.Versions != "" {
				return "affected (" + a.Versions + ")"
			}
			return "affected"
		case disclosure.Unaffected:
			return "not affected"
		}
		return "not investigated"
	},
}

// numbers lists the version numbers of a release: "5.0.2, 4.2.10 and 3.2.24".
func numbers(versions []disclosure.Version) string {
	var all []string
	for _, v := range versions {
		if v.Number != "" {
			all = append(all, v.Number)
		}
	}
	return sentence(all)
}

// levels says how many of each severity: "one high, two low".
func levels(severities []string) string {
	var order []string
	n := map[string]int{}
	for _, s := range severities {
		if n[s] == 0 {
			order = append(order, s)
		}
		n[s]++
	}
	for i, s := range order {
		order[i] = count(n[s]) + " " + s
	}
	return sentence(order)
}

func count(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}

func sentence(items []string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// ApplicationReceipt is what Receipt is to a mail that asks to be told in
// advance; Ack is how long a decision takes.
func (l *Letters) ApplicationReceipt(lang string, a Answer) (Letter, error) {
	return l.render(lang, "application-receipt", a)
}

// ApplicationAnswers lists the letters an answer to an applicant may start from.
var ApplicationAnswers = []string{"application-declined", "application-incomplete", "ask-key"}

// Receipt is the one automatic answer to a mail: fixed, and without a word of
// what came.
func (l *Letters) Receipt(lang string, a Answer) (Letter, error) { return l.render(lang, "receipt", a) }
