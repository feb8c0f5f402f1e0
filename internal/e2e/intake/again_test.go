package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/instance"
	"postern/internal/pgp"
)

// TestOpenedAgain: what nobody here can open is kept, waits at a case that
// needs attention, and opens once the key was imported.
func TestOpenedAgain(t *testing.T) {
	w := newTeam(t, world.Config{})
	other := person(t, w.DB.Now(), "Lantern of old", "old@lantern.example")
	armor := w.encrypt(entity("Tokens can be guessed.\n", "poc.py", "print(1)\n"), nil, other.Certificate())
	f := w.post("finn@finder.example", pgpMIME("finn@finder.example", "...", armor))
	if m := f.message(t); m.Protection.Encryption != disclosure.Unopened || f.c.Attention == "" {
		t.Fatalf("protection %+v, attention %q; want an unopened message that needs attention", m.Protection, f.c.Attention)
	}
	tove := w.SignedIn("Tove")
	page := func() *world.Page { return tove.Get(fmt.Sprintf("/cases/%d", f.c.Number)).OK() }
	form := "form-try-again-" + string(f.message(t).ID)
	page().Submit(form, nil).OK()
	w.Settle()
	if got := w.look(f); got.message(t).Protection.Encryption != disclosure.Unopened || got.c.Attention == "" {
		t.Errorf("without the key: %+v", got.message(t).Protection)
	}
	page().Has("still cannot be opened")

	// The key of old is imported as a retired one; then it opens by itself,
	// like all that waits for that key.
	otherOne := w.post("finn@finder.example", plain("finn@finder.example", "...", string(w.encrypt([]byte("Sessions never end.\n"), nil, other.Certificate()))))
	never := person(t, w.DB.Now(), "Nobody", "nobody@example.org")
	shut := w.post("finn@finder.example", plain("finn@finder.example", "...", string(w.encrypt([]byte("x\n"), nil, never.Certificate()))))
	quiet := len(w.events(shut))
	before := w.original(f.arrival)
	w.retire(other)
	w.Settle()
	if m := w.look(otherOne).message(t); m.Protection.Encryption != disclosure.ToRetiredKey || !strings.Contains(m.Text, "Sessions never end.") {
		t.Errorf("the other one: %+v, %q; want it opened, too", m.Protection, m.Text)
	}
	if got := w.look(shut); got.message(t).Protection.Encryption != disclosure.Unopened || got.c.Attention == "" || len(w.events(shut)) != quiet {
		t.Errorf("what no key opens: %+v, attention %q, %d new events", got.message(t).Protection, got.c.Attention, len(w.events(shut))-quiet)
	}
	got := w.look(f)
	m := got.message(t)
	if m.Protection.Encryption != disclosure.ToRetiredKey || !strings.Contains(m.Text, "Tokens can be guessed.") || got.c.Attention != "" {
		t.Errorf("with the key: %+v, text %q, attention %q", m.Protection, m.Text, got.c.Attention)
	}
	if got.c.Title != "Tokens can be guessed." || got.c.Protection.Encryption != disclosure.ToRetiredKey {
		t.Errorf("the case is titled %q, protected %+v", got.c.Title, got.c.Protection)
	}
	if len(got.c.Files) != 1 || got.c.Files[0].Label != "poc.py" || w.file(got.c.Files[0]) != "print(1)\n" || len(m.Files) != 1 || m.Files[0] != got.c.Files[0].ID {
		t.Errorf("files are %+v, of the message %v", got.c.Files, m.Files)
	}
	if !bytes.Equal(before, w.original(f.arrival)) {
		t.Error("the original changed")
	}
	if strings.Contains(string(page().Body), form) {
		t.Error("the button is still there")
	}
}

func (w *team) events(f found) []disclosure.Event {
	w.t.Helper()
	events, err := w.DB.Timeline(w.t.Context(), w.Member("Ada"), f.id)
	must(w.t, err)
	return events
}

// retire makes a key one of the team's that is not current any more.
func (w *team) retire(old *pgp.Secret) {
	w.t.Helper()
	by := disclosure.System("test")
	keys, err := w.DB.TeamKeys(w.t.Context(), by)
	must(w.t, err)
	cert := old.Certificate()
	must(w.t, w.DB.StoreTeamKey(w.t.Context(), by, cert.Fingerprint(), cert.Binary(), old.Bytes()))
	must(w.t, w.DB.RetireTeamKey(w.t.Context(), by, cert.Fingerprint()))
	for _, k := range keys {
		if k.Retired.IsZero() {
			must(w.t, w.DB.StoreTeamKey(w.t.Context(), by, k.Fingerprint, k.Certificate, k.Secret))
		}
	}
}

// TestSuppliedText: a member who can read it supplies the text, under their
// name, and the protection stays what was found.
func TestSuppliedText(t *testing.T) {
	w := newTeam(t, world.Config{})
	tovesOwn := person(t, w.DB.Now(), "Tove", "tove@lantern.example")
	f := w.post("finn@finder.example", pgpMIME("finn@finder.example", "for Tove", w.encrypt([]byte("Tokens can be guessed.\n"), nil, tovesOwn.Certificate())))
	tove := w.SignedIn("Tove")
	at := fmt.Sprintf("/cases/%d", f.c.Number)
	form := "form-supply-" + string(f.message(t).ID)
	if p := tove.Get(at).OK().Submit(form, []world.Field{{Name: "text", Value: " "}}); p.Status != 422 {
		t.Errorf("an empty text was answered with %d, want 422", p.Status)
	}
	tove.Get(at).OK().Submit(form, []world.Field{{Name: "text", Value: "It says: tokens can be guessed."}}).OK()
	tove.Get(at).OK().Has("It says: tokens can be guessed.", "Tove supplied this text", "Supplied the text of a message")
	got := w.look(f)
	if m := got.message(t); m.Protection.Encryption != disclosure.Unopened || m.Supplied == nil || m.Supplied.By != "Tove" || got.c.Attention != "" {
		t.Errorf("the message is %+v, supplied %+v, attention %q", m.Protection, m.Supplied, got.c.Attention)
	}
	opened := w.post("finn@finder.example", plain("finn@finder.example", "clear", "words\n"))
	if err := w.DB.SupplyText(t.Context(), w.Member("Tove"), opened.message(t).ID, "other words"); err == nil {
		t.Error("the text of a message that was opened was replaced")
	}
	if err := w.DB.SupplyText(t.Context(), w.Member("Ravi"), f.message(t).ID, "words"); !errors.Is(err, disclosure.ErrForbidden) {
		t.Errorf("SupplyText by one who is no triager = %v, want forbidden", err)
	}
	if err := w.DB.TryAgain(t.Context(), w.Member("Olek"), f.message(t).ID); !errors.Is(err, disclosure.ErrForbidden) {
		t.Errorf("TryAgain by the auditor = %v, want forbidden", err)
	}
}

// program is the built command.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "postern")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "postern")
	build := exec.Command("go", "build", "-o", path, "postern/cmd/postern")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// deliver runs postern deliver with a mail on its standard input.
func (w *team) deliver(raw []byte, environment []string, args ...string) (code int, said string) {
	w.t.Helper()
	path, err := program()
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"deliver"}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "POSTERN_DATA=" + w.t.TempDir()}, environment...)
	cmd.Stdin = bytes.NewReader(raw)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// TestDeliver: a mail on standard input, with nothing but the gate's login.
func TestDeliver(t *testing.T) {
	var gate string
	w := newTeam(t, world.Config{Change: func(c *instance.Config) { gate = c.GateDatabaseURL }})
	login := []string{"POSTERN_GATE_DATABASE_URL=" + gate}
	raw := plain("finn@finder.example", "Tokens", "By a pipe.\n")
	unix := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")) // as local delivery pipes it
	if code, said := w.deliver(append([]byte("From finn@finder.example Mon Jan  6 10:00:00 2025\n"), unix...), login, "-f", "finn@finder.example", "--", address); code != 0 {
		t.Fatalf("deliver: exit %d, want 0: %s", code, said)
	}
	f := w.newest()
	if f.c == nil || f.c.Title != "Tokens" || !strings.Contains(f.message(t).Text, "By a pipe.") || f.c.Attention != "" {
		t.Errorf("the case is %+v", f.c)
	}
	if !bytes.Equal(w.original(f.arrival), unix) {
		t.Error("the original is not what was piped, without the line above it")
	}
	if n := len(w.to("finn@finder.example")); n != 1 {
		t.Errorf("%d receipts, want 1", n)
	}
	before := w.arrivals()
	for name, environment := range map[string][]string{
		"no database":       {"POSTERN_GATE_DATABASE_URL=postgres://postern_gate@127.0.0.1:1/postern"},
		"nothing is set up": nil,
		"another vault":     append(login, "POSTERN_VAULT_PIN=0000"),
	} {
		if code, said := w.deliver(raw, environment); code != 75 || strings.Contains(said, "By a pipe") {
			t.Errorf("%s: exit %d, want 75, and nothing of the mail: %s", name, code, said)
		}
	}
	if code, said := w.deliver(append(raw, bytes.Repeat([]byte("0123456789abcdef\r\n"), 3<<20)...), login); code != 65 {
		t.Errorf("larger than the policy allows: exit %d, want 65: %s", code, said)
	}
	if n := w.arrivals() - before; n != 0 {
		t.Errorf("%d arrivals of mails that were not taken", n)
	}
	if code, said := w.deliver(raw, append(login, "SENDER=", "ORIGINAL_RECIPIENT="+address)); code != 0 {
		t.Errorf("the null sender: exit %d: %s", code, said)
	}
	if f := w.newest(); f.c == nil {
		t.Error("mail of the null sender was not kept")
	}
}

// TestOpenedStays: an arrival that is tried again although it did open, as one
// was that an update of the database took for unopened, changes nothing.
func TestOpenedStays(t *testing.T) {
	w := newTeam(t, world.Config{})
	f := w.post("finn@finder.example", pgpMIME("finn@finder.example", "...", w.encrypt(entity("Tokens can be guessed.\n", "poc.py", "print(1)\n"), nil)))
	must(t, w.DB.UpdateCase(t.Context(), w.Member("Tove"), f.id, func(c *disclosure.Case) error {
		return c.SetAttention("Call Finn.", w.Member("Tove"), w.DB.Now())
	}))
	before, events := w.look(f), len(w.events(f))
	must(t, w.DB.TryAgain(t.Context(), w.Member("Tove"), f.message(t).ID))
	w.Settle()
	got := w.look(f)
	if got.c.Attention != "Call Finn." || len(w.events(f)) != events+1 { // that it was asked
		t.Errorf("attention %q, %d new events; want what was noted, and one", got.c.Attention, len(w.events(f))-events)
	}
	if len(got.c.Files) != 1 || got.c.Files[0].ID != before.c.Files[0].ID || w.file(got.c.Files[0]) != "print(1)\n" {
		t.Errorf("files %+v, want those from before, %+v", got.c.Files, before.c.Files)
	}
}
