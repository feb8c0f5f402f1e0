package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/policy"
	sink "postern/internal/smtp"
	"postern/internal/vault"
)

// The tests of this file and of the other rows files are named after the row
// of the policies they show; docs/policies.md holds the table.

// demoPolicy is the preset "demo", changed.
func demoPolicy(t testing.TB, changes ...string) string {
	t.Helper()
	return preset(t, "demo", changes...)
}

func preset(t testing.TB, name string, changes ...string) string {
	t.Helper()
	text, err := policy.Preset(name)
	must(t, err)
	for i := 0; i < len(changes); i += 2 {
		if strings.Count(text, changes[i]) != 1 {
			t.Fatalf("the preset %q has %d times %q", name, strings.Count(text, changes[i]), changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return text
}

// told is who was mailed of cases, each one's mails together.
func (w *team) told() map[string][]sink.SinkMessage {
	list := map[string][]sink.SinkMessage{}
	for _, m := range w.Sink.Messages() {
		if len(m.To) == 1 && strings.HasSuffix(m.To[0], "@lantern.example") && m.To[0] != address {
			list[m.To[0]] = append(list[m.To[0]], m)
		}
	}
	return list
}

// exactly fails the test unless these members, each by one mail, were told.
func (w *team) exactly(when string, names ...string) map[string][]sink.SinkMessage {
	w.t.Helper()
	got := w.told()
	var who []string
	for to, mails := range got {
		who = append(who, to)
		if len(mails) != 1 {
			w.t.Errorf("%s, %s got %d mails, want 1", when, to, len(mails))
		}
	}
	slices.Sort(who)
	for i := range names {
		names[i] = w.Login(names[i])
	}
	slices.Sort(names)
	if !slices.Equal(who, names) {
		w.t.Errorf("%s, %v were told, want %v", when, who, names)
	}
	return got
}

// invite is an admin's inviting somebody at the desk, who then joins.
func (w *team) invite(admin *world.Visitor, name, role string) {
	w.t.Helper()
	link := admin.Get("/members").OK().Submit("form-invite", []world.Field{{Name: "name", Value: name}, {Name: "address", Value: w.Login(name)}, {Name: "role", Value: role}}).OK().TextOf("invite-link")
	w.Join(name, link)
}

// disable is an admin's ending somebody's membership at the desk.
func (w *team) disable(admin *world.Visitor, name string) {
	w.t.Helper()
	admin.Get("/members").OK().Submit("form-disable-"+string(w.Member(name).Member), nil).OK()
}

// TestD5EachReportReachesTheMembersOfNow: who joins hears of the next report,
// encrypted to their own key; who leaves hears of none from that moment on, not
// even of one whose mail was under way; the public roster says the same.
func TestD5EachReportReachesTheMembersOfNow(t *testing.T) {
	world.Need(t, "gpg")
	w := newTeam(t, world.Config{Policy: demoPolicy(t, "[contact]", "[contact]\nroster = true")})
	roster := func(name string, want bool) {
		t.Helper()
		w.Settle()
		w.Ready()
		if got := strings.Contains(w.Visit(w.GateURL).Get("/").OK().Text(), name); got != want {
			t.Errorf("the public page names %s: %t, want %t", name, got, want)
		}
	}
	roster("Nia", false)
	roster("Tove", true)
	ada := w.SignedIn("Ada")
	w.invite(ada, "Nia", "triager")
	g := world.NewGPG(t)
	g.Now = w.Wall
	key := g.NewKey("Nia <nia@lantern.example>")
	g.Run(w.Visit(w.GateURL).Get("/key.asc").OK().Body, "--import")
	nia := w.SignedIn("Nia")
	nia.Get("/account").OK().Submit("form-key", []world.Field{{Name: "key", Value: string(key)}}).OK().Has(fingerprint(g.Prints("nia@lantern.example")[0]))
	roster("Nia", true)

	w.Sink.Reset()
	f := w.post("finn@finder.example", plain("finn@finder.example", "canary-subject", "canary-text\n"))
	w.Settle()
	mails := w.exactly("with Nia", "Ada", "Tove", "Ravi", "Nia")
	at := fmt.Sprintf("%s/cases/%d", w.DeskURL, f.c.Number)
	for to, list := range mails {
		text := string(list[0].Data)
		if strings.Contains(text, "canary") {
			t.Errorf("the mail to %s tells of the report:\n%s", to, text)
		}
		if to != w.Login("Nia") {
			if !strings.Contains(text, at) || strings.Contains(text, "PGP MESSAGE") {
				t.Errorf("the mail to %s, who has no key, is\n%s\nwant the link %s", to, text, at)
			}
			continue
		}
		if strings.Contains(text, at) {
			t.Errorf("the mail to Nia holds the link in clear")
		}
		opened, status := g.Run(armored(t, list[0].Data), "--decrypt")
		if !bytes.Contains(opened, []byte(at)) || !strings.Contains(status, "DECRYPTION_OKAY") || !strings.Contains(status, "GOODSIG") {
			t.Errorf("Nia's gpg reads\n%s\nwant the link %s, signed by the team", opened, at)
		}
	}

	// The next report's mails to Nia and Tove wait when Nia leaves.
	w.Sink.Reset()
	w.Sink.Set(func(c *sink.SinkConfig) {
		c.RcptReply = func(to string) int {
			if strings.HasPrefix(to, "nia@") || strings.HasPrefix(to, "tove@") {
				return 451
			}
			return 0
		}
	})
	must(t, w.try("finn@finder.example", address, plain("finn@finder.example", "second", "second\n")))
	if _, err := w.Work.Once(t.Context()); err == nil {
		t.Error("work says nothing of two mails that were not taken")
	}
	w.exactly("while two mailboxes refuse", "Ada", "Ravi")
	w.disable(ada, "Nia")
	w.Sink.Set(func(c *sink.SinkConfig) { c.RcptReply = nil })
	w.Advance(time.Hour)
	if got := w.told(); len(got[w.Login("Nia")]) != 0 || len(got[w.Login("Tove")]) == 0 {
		t.Errorf("afterwards Nia got %d mails, Tove %d; want none, and what waited", len(got[w.Login("Nia")]), len(got[w.Login("Tove")]))
	}
	roster("Nia", false)
	w.Sink.Reset()
	w.post("finn@finder.example", plain("finn@finder.example", "third", "third\n"))
	w.Settle()
	w.exactly("without Nia", "Ada", "Tove", "Ravi")
}

// armored is the OpenPGP message in a mail.
func armored(t testing.TB, raw []byte) []byte {
	t.Helper()
	begin := bytes.Index(raw, []byte("-----BEGIN PGP MESSAGE-----"))
	const last = "-----END PGP MESSAGE-----"
	end := bytes.Index(raw, []byte(last))
	if begin < 0 || end < begin {
		t.Fatalf("the mail holds no OpenPGP message:\n%s", raw)
	}
	return raw[begin : end+len(last)]
}

// fingerprint is one as pages write it, in groups of four.
func fingerprint(hex string) string {
	var groups []string
	for chunk := range slices.Chunk([]byte(hex), 4) {
		groups = append(groups, string(chunk))
	}
	return strings.Join(groups, " ")
}

// TestD9RotationAndRemoval: with another team key, what came under the old one
// stays readable and what comes is encrypted to the new one, as gpg finds it;
// a member who is removed loses sessions, sign-in and the vault at once.
func TestD9RotationAndRemoval(t *testing.T) {
	world.Need(t, "gpg")
	w := newTeam(t, world.Config{})
	reporter := world.NewGPG(t)
	publish := func() (print string) {
		t.Helper()
		served := w.Visit(w.GateURL).Get("/key.asc").OK().Body
		out, _ := reporter.Run(served, "--with-colons", "--import-options", "show-only", "--import")
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(line, ":"); f[0] == "fpr" {
				reporter.Run(served, "--import")
				return f[9]
			}
		}
		t.Fatalf("gpg finds no key in /key.asc: %s", out)
		return ""
	}
	report := func(print, text string) found {
		t.Helper()
		out, _ := reporter.Run([]byte(text), "--armor", "--trust-model", "always", "-r", print, "--encrypt")
		return w.post("finn@finder.example", plain("finn@finder.example", "...", string(out)))
	}
	tove := w.SignedIn("Tove")
	reads := func(f found, text string) {
		t.Helper()
		tove.Get(fmt.Sprintf("/cases/%d", f.c.Number)).OK().Has(text)
	}
	oldPrint := publish()
	old := report(oldPrint, "What came under the old key.\n")
	reads(old, "What came under the old key.")

	// Another key, made with gpg, takes the old one's place.
	g := world.NewGPG(t)
	g.NewKey("Lantern security team <" + address + ">")
	secret, _ := g.Run(nil, "--armor", "--export-secret-keys", address)
	newPrint := g.Prints(address)[0]
	if out, code := w.command(secret, "key", "import", "-"); code != 0 || !strings.Contains(out, fingerprint(newPrint)) || !strings.Contains(out, "Retired      "+fingerprint(oldPrint)) {
		t.Fatalf("postern key import: exit %d:\n%s\nwant the new key %s and the old one retired", code, out, newPrint)
	}
	if out, code := w.command(nil, "key", "show", "--armor"); code != 0 || !strings.Contains(out, "BEGIN PGP PUBLIC KEY") {
		t.Errorf("postern key show: exit %d: %s", code, out)
	}
	w.Settle()
	w.Ready()
	if got := publish(); got != newPrint {
		t.Fatalf("the gate serves %s, want %s", got, newPrint)
	}
	w.Visit(w.GateURL).Get("/").OK().Has(fingerprint(newPrint))
	fresh := report(newPrint, "What came under the new key.\n")
	if m := fresh.message(t); m.Protection.Encryption != disclosure.ToCurrentKey {
		t.Errorf("a message to the new key: %+v", m.Protection)
	}
	late := report(oldPrint, "Written to the old key all the same.\n")
	if m := late.message(t); m.Protection.Encryption != disclosure.ToRetiredKey {
		t.Errorf("a message to the old key: %+v", m.Protection)
	}
	reads(old, "What came under the old key.")
	reads(fresh, "What came under the new key.")
	reads(late, "Written to the old key all the same.")

	// A member with a passphrase of their own, and a session.
	const phrase = "the passphrase of Nia alone"
	ada := w.SignedIn("Ada")
	w.invite(ada, "Nia", "triager")
	nia := w.SignedIn("Nia")
	ada.Get("/vault").OK().Submit("form-slot", []world.Field{{Name: "member", Value: string(w.Member("Nia").Member)}, {Name: "passphrase", Value: phrase}, {Name: "passphrase_again", Value: phrase}}).OK().Has("It goes when Nia is disabled.")
	unlock := func(phrase string) bool {
		t.Helper()
		w.DB.Vault().Lock()
		w.Visit(w.DeskURL).Get("/unlock").OK().Submit("form-unlock", []world.Field{{Name: "passphrase", Value: phrase}})
		return w.DB.Vault().Unlocked()
	}
	if !unlock(phrase) {
		t.Fatal("Nia's own passphrase does not unlock")
	}
	nia.Get("/inbox").OK()
	w.disable(ada, "Nia")
	if p := nia.Get("/inbox"); p.URL.Path != "/sign-in" {
		t.Errorf("the session of who was removed still shows %s", p.URL.Path)
	}
	if p := w.Visit(w.DeskURL).Get("/sign-in").Submit("form-sign-in", []world.Field{{Name: "name", Value: w.Login("Nia")}, {Name: "password", Value: w.Pass("Nia")}, {Name: "code", Value: w.Code("Nia")}}); p.URL.Path != "/sign-in" {
		t.Errorf("who was removed signs in to %s", p.URL.Path)
	}
	if unlock(phrase) {
		t.Error("the passphrase of who was removed still unlocks")
	}
	if !unlock(world.Passphrase) {
		t.Error("the passphrase of who stays does not unlock")
	}
	slots, err := w.DB.Slots(t.Context(), w.Member("Ada"))
	must(t, err)
	for _, s := range slots {
		if s.Label == "Nia" {
			t.Error("the slot of who was removed is still there")
		}
	}
	reads(old, "What came under the old key.")
	// Who alone could unlock cannot be removed.
	for _, s := range slots {
		if s.Kind == vault.SlotRecovery {
			must(t, w.DB.RemoveSlot(t.Context(), w.Member("Ada"), s.ID))
		}
	}
	must(t, w.DB.SetRoles(t.Context(), w.Member("Ada"), w.Member("Tove").Member, disclosure.Triager|disclosure.Admin))
	var refusal *disclosure.Refusal
	if err := w.DB.Disable(t.Context(), disclosure.System("test"), w.Member("Ada").Member); !errors.As(err, &refusal) {
		t.Errorf("removing who alone can unlock: %v, want a refusal", err)
	}
}

// command runs the built program beside the running instance.
func (w *team) command(stdin []byte, args ...string) (said string, code int) {
	w.t.Helper()
	path, err := program()
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "POSTERN_DATA=" + w.Data}
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
