package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// person is a reporter of the leak test: who reads by mailbox has a code, who
// reads by mail an address.
type person struct {
	mark    string // stands in everything they say and in everything said to them
	code    string
	address string
	c       disclosure.CaseID // the case their report began
	id      disclosure.ReporterID
	said    int // messages of theirs, with a file each where they have a mailbox
	told    int // answers to them, with a file each where they have a mailbox
	since   time.Time
}

// TestMergedReportersStayApart: whatever is merged, split and undone, in
// whatever order, each reporter reads their own words and answers, whole, and
// nothing of another: in the mailbox's page, by the API, in files, receipts
// and mails. Thread, files, credit and time of each stay theirs at the desk.
func TestMergedReportersStayApart(t *testing.T) {
	w := newWorld(t)
	once, sink := w.opensTo()
	orders := []struct {
		steps  string // B>A: B is merged into A. B<A: B is split off A. A ! in front: it is refused
		counts string // reporters of A, B and C in the end
	}{
		{"C>B B>A !C<B B<A C<B", "1 1 1"},
		{"B>A B<A A>B", "0 2 1"},
		{"B>A C>A B<A C<A", "1 1 1"},
		{"C>B B>A B<A B>A", "3 0 0"},
		{"B>A B<A A>B A<B", "1 1 1"},
		{"B>A !A>B A>C !B<A A<C B<A", "1 1 1"},
	}
	if os.Getenv("POSTERN_SOAK") == "" {
		orders = orders[:2]
	}
	for i, x := range orders {
		p := w.people(t, once, i)
		w.talk(t, once, p)
		for _, step := range strings.Fields(x.steps) {
			refused := strings.HasPrefix(step, "!")
			step = strings.TrimPrefix(step, "!")
			from, into := p[step[:1]], p[step[2:]]
			do := w.DB.MergeCases
			if step[1] == '<' {
				do = w.DB.SplitCases
			}
			if err := do(t.Context(), w.Tri, from.c, into.c); (err != nil) != refused {
				t.Fatalf("%s, at %s: %v; refused: %t", x.steps, step, err, refused)
			}
			w.talk(t, once, p)
		}
		counts := ""
		for _, name := range []string{"A", "B", "C"} {
			c, err := w.DB.Case(t.Context(), w.Tri, p[name].c)
			if err != nil {
				t.Fatal(err)
			}
			counts += fmt.Sprintf(" %d", len(c.Reporters))
		}
		if counts[1:] != x.counts {
			t.Errorf("%s: reporters of A, B, C are %s, want %s", x.steps, counts[1:], x.counts)
		}
		for name := range p {
			w.reads(t, x.steps, p, name, sink())
			w.keeps(t, x.steps, p[name])
		}
	}
}

// people report: A by the API, B by the form, C by mail.
func (w *world) people(t *testing.T, once func(), n int) map[string]*person {
	t.Helper()
	p := map[string]*person{}
	for _, name := range []string{"A", "B", "C"} {
		x := &person{mark: fmt.Sprintf("MARK-%s-%d-", name, n)}
		p[name] = x
		before := w.caseCount()
		switch name {
		case "A":
			x.code = w.post("/api/v1/reports", "text/plain", x.mark+"report").receipt(t).Code
		case "B":
			x.code = codeOn(t, w.form("/report", "description", x.mark+"report", "key", strings.Repeat("k", 30)+x.mark))
		case "C":
			x.address = fmt.Sprintf("c%d@elsewhere.example", n)
			w.mailFrom(t, x.address, x.mark+"report")
		}
		once()
		if got := w.caseCount(); got != before+1 {
			t.Fatalf("the report of %s began no case", name)
		}
		var number int
		if err := w.DB.Pool().QueryRow(t.Context(), `SELECT max(number) FROM cases`).Scan(&number); err != nil {
			t.Fatal(err)
		}
		c, err := w.DB.CaseByNumber(t.Context(), w.Tri, number)
		if err != nil {
			t.Fatal(err)
		}
		x.c, x.id, x.since, x.said = c.ID, c.Reporters[0].ID, c.Reporters[0].Received, 1
		err = w.DB.UpdateCase(t.Context(), w.Tri, c.ID, func(c *disclosure.Case) error {
			return c.SetCredit(x.id, disclosure.CreditYes, x.mark+"credit", w.Tri, w.DB.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (w *world) caseCount() (n int) {
	w.t.Helper()
	if err := w.DB.Pool().QueryRow(context.Background(), `SELECT count(*) FROM cases`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

var codeWord = regexp.MustCompile(`<li>([a-z-]+)</li>`)

// mailFrom sends a mail that is a report.
func (w *world) mailFrom(t *testing.T, address, text string) {
	t.Helper()
	mail := "From: " + address + "\r\nTo: security@lantern.example\r\nSubject: " + text + "\r\nMessage-ID: <" + vault.NewID() + "@elsewhere.example>\r\n\r\n" + text + "\r\n"
	e := disclosure.Envelope{From: address, To: []string{"security@lantern.example"}}
	if err := w.gate.Receive(t.Context(), disclosure.ByMail, e, strings.NewReader(mail)); err != nil {
		t.Fatal(err)
	}
}

func codeOn(t *testing.T, a answer) string {
	t.Helper()
	_, rest, _ := strings.Cut(a.body, `id="code-words"`)
	if rest == "" {
		rest = a.body
	}
	var words []string
	for _, m := range codeWord.FindAllStringSubmatch(rest, -1) {
		words = append(words, m[1])
	}
	if a.status != 201 || len(words) < 8 {
		t.Fatalf("the form's receipt: %d with %d words\n%.600s", a.status, len(words), a.body)
	}
	code, err := vault.ParseCode(strings.Join(words[:8], " "))
	if err != nil {
		t.Fatalf("the code on the receipt: %v", err)
	}
	return strings.Join(code.Words(), " ")
}

// now is the case a reporter is in, as the desk has it.
func (w *world) now(t *testing.T, x *person) *disclosure.Case {
	t.Helper()
	var id disclosure.CaseID
	if err := w.DB.Pool().QueryRow(t.Context(), `SELECT case_id FROM reporter WHERE id = $1`, x.id).Scan(&id); err != nil {
		t.Fatal(err)
	}
	c, err := w.DB.Case(t.Context(), w.Tri, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk has each reporter say something, and each be answered.
func (w *world) talk(t *testing.T, once func(), people map[string]*person) {
	t.Helper()
	for _, x := range people {
		if x.code != "" {
			body, _ := json.Marshal(map[string]any{"code": x.code, "text": fmt.Sprintf("%ssaid %d", x.mark, x.said),
				"files": []map[string]any{{"name": x.mark + "proof.txt", "data": []byte(fmt.Sprintf("%sbytes %d", x.mark, x.said))}}})
			if a := w.post(messages, "application/json", string(body)); a.status != 200 {
				t.Fatalf("add: %d %s", a.status, a.body)
			}
			x.said++
		}
	}
	once()
	for _, x := range people {
		c := w.now(t, x)
		r := postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Text: fmt.Sprintf("%sanswer %d", x.mark, x.told),
			Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(x.id)}}
		if x.code == "" {
			r.Safe, r.Letter = true, "acknowledgment"
		} else {
			f, err := w.DB.StoreFile(t.Context(), w.Tri, c.ID, "", x.mark+"patch.txt", "", strings.NewReader(fmt.Sprintf("%spatch %d", x.mark, x.told)))
			if err != nil {
				t.Fatal(err)
			}
			r.Files = []disclosure.FileID{f.ID}
		}
		if err := w.DB.Reply(t.Context(), w.Tri, r); err != nil {
			t.Fatal(err)
		}
		x.told++
	}
	w.Advance(t, time.Minute)
	once()
}

// reads: what one reporter can see has all that is theirs, and nothing else.
func (w *world) reads(t *testing.T, steps string, people map[string]*person, name string, mails []string) {
	t.Helper()
	x := people[name]
	sees := map[string]string{}
	answers := 0
	if x.code == "" {
		for _, m := range mails {
			if strings.Contains(m, x.address) {
				sees["mails"] += m
			}
		}
		answers = strings.Count(sees["mails"], x.mark+"answer ")
	} else {
		a := w.post(messages, "application/json", `{"code":"`+x.code+`"}`)
		sees["API"], sees["page"] = a.body, w.form("/mailbox", "code", x.code).body
		var out struct{ Items []disclosure.MailboxItem }
		if err := json.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatal(err)
		}
		own := 0
		for _, it := range out.Items {
			switch it.Kind {
			case disclosure.ItemOwn:
				own++
			case disclosure.ItemReply:
				f := w.post(messages, "application/json", `{"code":"`+x.code+`","item":"`+it.ID+`","file":0}`)
				if want := fmt.Sprintf("%spatch %d", x.mark, answers); f.body != want || !strings.Contains(it.Text, fmt.Sprintf("%sanswer %d", x.mark, answers)) {
					t.Errorf("%s: answer %d to %s is %q with the file %q, want %q", steps, answers, name, it.Text, f.body, want)
				}
				sees["files"] += f.body
				answers++
			}
		}
		if own != x.said {
			t.Errorf("%s: %s finds %d own messages, want %d", steps, name, own, x.said)
		}
	}
	if answers != x.told {
		t.Errorf("%s: %s finds %d answers, want %d", steps, name, answers, x.told)
	}
	for where, text := range sees {
		for other, y := range people {
			if other != name && strings.Contains(text, y.mark) {
				t.Errorf("%s: %s reads of %s in %s", steps, name, other, where)
			}
		}
		for _, word := range []string{"duplicate", "merged", "#"} {
			plain := strings.ReplaceAll(text, "&#", "")
			if where != "page" && where != "mails" && strings.Contains(plain, word) {
				t.Errorf("%s: %s reads %q in %s", steps, name, word, where)
			}
		}
	}
}

// keeps: at the desk, lane, files, originals, credit and time are theirs.
func (w *world) keeps(t *testing.T, steps string, x *person) {
	t.Helper()
	c := w.now(t, x)
	r := c.Reporter(x.id)
	if r.Credit.Text != x.mark+"credit" || !r.Received.Equal(x.since) {
		t.Errorf("%s: %s has credit %+v since %s", steps, x.mark, r.Credit, r.Received)
	}
	thread, err := w.DB.Thread(t.Context(), w.Tri, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	said, told := 0, 0
	for _, m := range thread {
		if m.Lane.ID != string(x.id) {
			continue
		}
		if !strings.Contains(m.Text, x.mark) {
			t.Errorf("%s: in the lane of %s stands %q", steps, x.mark, m.Text)
		}
		want := fmt.Sprintf("%spatch %d", x.mark, told)
		if m.State == disclosure.MessageIn {
			want = fmt.Sprintf("%sbytes %d", x.mark, said)
			said++
			var b bytes.Buffer
			if err := w.DB.Original(t.Context(), w.Tri, m.Arrival, &b); err != nil || !strings.Contains(b.String(), x.mark) {
				t.Errorf("%s: the original of %s: %d bytes, %v", steps, m.Text, b.Len(), err)
			}
		} else {
			told++
		}
		for _, id := range m.Files {
			var b bytes.Buffer
			err := w.DB.OpenFile(t.Context(), w.Tri, id, func(disclosure.File) (io.Writer, error) { return &b, nil })
			shown := false
			for _, f := range c.Files {
				shown = shown || f.ID == id
			}
			if err != nil || b.String() != want || !shown {
				t.Errorf("%s: the file of %q is %q, %v, in the case: %t; want %q", steps, m.Text, b.String(), err, shown, want)
			}
		}
	}
	if said != x.said || told != x.told {
		t.Errorf("%s: %s said %d and was told %d, want %d and %d", steps, x.mark, said, told, x.said, x.told)
	}
}
