package gate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/postgres"
	"postern/internal/smtp"
	"postern/internal/vault"
	"postern/internal/work"
)

// opens is work beside the gate: it opens what came and lets answers leave.
func (w *world) opens() func() {
	once, _ := w.opensTo()
	return once
}

// opensTo is opens, with every mail that was sent.
func (w *world) opensTo() (once func(), mails func() []string) {
	w.t.Helper()
	texts, err := letters.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sink, err := smtp.NewSink(smtp.SinkConfig{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { sink.Close() })
	relay, err := smtp.NewRelay(smtp.RelayConfig{URL: sink.URL()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { relay.Close() })
	dir, err := os.MkdirTemp("", "work")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.RemoveAll(dir) })
	x := work.New(work.Config{DB: w.DB, Sender: relay, Letters: texts, DeskURL: "https://desk.example", GateURL: w.server.URL,
		Version: "test", Data: dir})
	return func() {
			w.t.Helper()
			if _, err := x.Once(context.Background()); err != nil {
				w.t.Fatalf("Once: %v", err)
			}
		}, func() (list []string) {
			for _, m := range sink.Messages() {
				list = append(list, strings.Join(m.To, " ")+"\n"+string(m.Data))
			}
			return list
		}
}

// theCase is the only case there is.
func (w *world) theCase() *disclosure.Case {
	w.t.Helper()
	var n int
	if err := w.DB.Pool().QueryRow(context.Background(), `SELECT number FROM cases`).Scan(&n); err != nil {
		w.t.Fatalf("find the case: %v", err)
	}
	c, err := w.DB.CaseByNumber(context.Background(), w.Ada, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestD7MailboxThread goes there and back with somebody who has nothing but a
// browser: files both ways, credit with history, an own key, a withdrawal, and
// a receipt that gpg verifies. The API shows the same.
func TestD7MailboxThread(t *testing.T) {
	w := newWorld(t)
	once := w.opens()
	code := w.post("/api/v1/reports", "text/plain", "The lantern leaks oil.").receipt(t).Code
	once()
	c := w.theCase()
	box := func(fields ...string) answer { return w.form("/mailbox", append([]string{"code", code}, fields...)...) }
	shows := func(a answer, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(a.body, text) {
				t.Errorf("the mailbox does not show %q", text)
			}
		}
	}

	// Our answer carries a file.
	file, err := w.DB.StoreFile(t.Context(), w.Tri, c.ID, "", "try me.patch", "text/x-patch", strings.NewReader("diff <b>\n"))
	if err != nil {
		t.Fatal(err)
	}
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}
	if err := w.DB.Reply(t.Context(), w.Tri, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Lane: lane,
		Text: "Does this patch help?", Files: []disclosure.FileID{file.ID}}); err != nil {
		t.Fatal(err)
	}
	w.Advance(t, time.Minute)
	once()
	page := box()
	shows(page, "Does this patch help?", "try me.patch", "We have your report", "Signed receipt")
	item := regexp.MustCompile(`name="item" value="([^"]+)"`).FindStringSubmatch(page.body)
	if item == nil {
		t.Fatal("the page offers no file")
	}
	got := box("do", "file", "item", item[1], "file", "0")
	if got.status != 200 || got.body != "diff <b>\n" || got.header.Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the file: %d %q %v", got.status, got.body, got.header)
	}
	other := strings.Join(vault.NewCode().Words(), " ")
	if a := w.form("/mailbox", "code", other, "do", "file", "item", item[1], "file", "0"); a.status != 404 {
		t.Errorf("the file by another code: %d, want 404", a.status)
	}

	// Wishes.
	key := mustStranger(t).Certificate()
	for _, form := range [][]string{
		{"do", "credit", "credit", "yes", "credit_text", "Robin of Lantern"},
		{"do", "credit", "credit", "no"},
		{"do", "credit", "credit", "yes", "credit_text", "R. Reporter"},
		{"do", "key", "own_key", string(key.Armored())},
		{"do", "add", "text", "It helps."},
		{"do", "withdraw", "withdraw", "yes", "reason", "It was a dream."},
	} {
		if a := box(form...); a.status != 200 {
			t.Fatalf("%v: %d", form, a.status)
		}
		once()
		if form[1] == "add" {
			shows(box(), "R. Reporter", key.Fingerprint()[:4])
		}
	}
	c = w.theCase()
	r := c.Reporters[0]
	if r.Credit.Wish != disclosure.CreditYes || r.Credit.Text != "R. Reporter" || r.Credit.By != "the reporter" {
		t.Errorf("credit %+v, want the last wish", r.Credit)
	}
	if !bytes.Equal(r.Key, key.Binary()) || r.KeyPrint != key.Fingerprint() {
		t.Errorf("the reporter's key is %q, want %q", r.KeyPrint, key.Fingerprint())
	}
	if r.Withdrawn.IsZero() || c.State == disclosure.Closed {
		t.Errorf("withdrawn %s, state %s; want noted, and closed by nobody", r.Withdrawn, c.State)
	}
	events, err := w.DB.Timeline(t.Context(), w.Ada, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	wishes := ""
	for _, e := range events {
		wishes += e.Text + "\n"
	}
	for _, want := range []string{"credited as: Robin of Lantern", "does not wish to be named", "credited as: R. Reporter", "withdrew the report: It was a dream."} {
		if !strings.Contains(wishes, want) {
			t.Errorf("the history lacks %q:\n%s", want, wishes)
		}
	}
	shows(box(), "You withdrew this report.")

	// The API shows the same, and the receipt verifies.
	a := w.post("/api/v1/mailbox", "application/json", `{"code":"`+code+`"}`)
	var out struct {
		Items []disclosure.MailboxItem `json:"items"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("the API's answer: %v", err)
	}
	var receipt, status *disclosure.MailboxItem
	reply := 0
	for i, it := range out.Items {
		switch it.Kind {
		case disclosure.ItemReceipt:
			if receipt == nil {
				receipt = &out.Items[i]
			}
		case disclosure.ItemStatus:
			status = &out.Items[i]
		case disclosure.ItemReply:
			if reply++; len(it.Files) != 1 || it.Files[0].Bytes != nil || it.Files[0].SHA256 != hexDigest("diff <b>\n") {
				t.Errorf("the API's reply has files %v", it.Files)
			}
			ask := `","item":"` + it.ID + `","file":0}`
			if a := w.post("/api/v1/mailbox", "application/json", `{"code":"`+code+ask); a.status != 200 || a.body != "diff <b>\n" {
				t.Errorf("the file by the API: %d %q", a.status, a.body)
			}
			if a := w.post("/api/v1/mailbox", "application/json", `{"code":"`+other+ask); a.status != 404 {
				t.Errorf("the file by the API and another code: %d, want 404", a.status)
			}
		}
	}
	if receipt == nil || status == nil || reply != 1 {
		t.Fatalf("by the API: receipt %t, status %t, %d replies", receipt != nil, status != nil, reply)
	}
	if status.CreditText != "R. Reporter" || status.OwnKey != key.Fingerprint() || status.Withdrawn.IsZero() {
		t.Errorf("the API's status is %+v", status)
	}
	verify(t, w, receipt.Text, "The lantern leaks oil.", c.Received)
}

// verify has gpg check a receipt, and that it names digest and time.
func verify(t *testing.T, w *world, receipt, sent string, at time.Time) {
	t.Helper()
	if !strings.Contains(receipt, hexDigest(sent)) || !strings.Contains(receipt, at.UTC().Format(time.RFC3339)) {
		t.Errorf("the receipt lacks the digest %s or the time %s:\n%s", hexDigest(sent), at, receipt)
	}
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg not installed")
	}
	home, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	gpg := func(args ...string) string {
		t.Helper()
		stamp := w.DB.Now().Add(time.Minute).UTC().Format("20060102T150405")
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--faked-system-time", stamp}, args...)...)
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, b)
		}
		return string(b)
	}
	for name, text := range map[string][]byte{"key.asc": w.team.Certificate().Armored(), "receipt.asc": []byte(receipt)} {
		if err := os.WriteFile(filepath.Join(home, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gpg("--import", filepath.Join(home, "key.asc"))
	if out := gpg("--status-fd", "1", "--verify", filepath.Join(home, "receipt.asc")); !strings.Contains(out, "GOODSIG") {
		t.Errorf("gpg does not verify the receipt:\n%s", out)
	}
}

// TestD7Invitation: the page an invitation leads to makes a code only when its
// button is pressed.
func TestD7Invitation(t *testing.T) {
	w := newWorld(t)
	page := w.get("/mailbox?invite=abcdefgh")
	if page.status != 200 || !strings.Contains(page.body, "Make my mailbox") || w.arrivals() != 0 {
		t.Fatalf("the invitation's page: %d, %d arrivals", page.status, w.arrivals())
	}
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(page.body)
	made := w.form("/mailbox", "do", "invite", "invite", "abcdefgh", "key", key[1])
	if made.status != 201 || w.arrivals() != 1 || !strings.Contains(made.body, "This is the code of your mailbox") ||
		!strings.Contains(made.body, "If the link that led you here is good") {
		t.Fatalf("pressing its button: %d, %d arrivals", made.status, w.arrivals())
	}
	again := w.form("/mailbox", "do", "invite", "invite", "abcdefgh", "key", key[1])
	if again.status != 201 || w.arrivals() != 1 || mask(again.body) != mask(made.body) {
		t.Errorf("the same request again: %d, %d arrivals; want the same code", again.status, w.arrivals())
	}
}

// TestD5Roster: where the policy wants it, the public page names the members,
// and a change of them shows.
func TestD5Roster(t *testing.T) {
	w := newWorld(t, policyText("[contact]", "[contact]\nroster = true"))
	if a := w.get("/"); !strings.Contains(a.body, "<li>Tri</li>") || strings.Contains(a.body, "<li>Aud</li>") {
		t.Errorf("the roster does not name Tri, or names the auditor")
	}
	if due, err := w.DB.DocumentsDue(t.Context(), "test"); err != nil || due {
		t.Fatalf("DocumentsDue = %t, %v before any change", due, err)
	}
	if err := w.DB.Disable(t.Context(), w.SteppedUp(w.Ada), w.Tri.Member); err != nil {
		t.Fatal(err)
	}
	if due, err := w.DB.DocumentsDue(t.Context(), "test"); err != nil || !due {
		t.Fatalf("DocumentsDue = %t, %v after a member left; want true", due, err)
	}
	w.publish()
	docs, err := w.DB.Documents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if d.Path == "/" && bytes.Contains(d.Bytes, []byte("<li>Tri</li>")) {
			t.Error("the roster names somebody who left")
		}
	}
}

func hexDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
