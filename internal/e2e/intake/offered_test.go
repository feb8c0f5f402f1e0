package intake

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/e2e/world"
	"postern/internal/pgp"
)

// TestOfferedKeyIsTakenByAMember: a key that comes with a later message stands
// on it and changes nothing, until a member takes it; where there is a key
// already, both fingerprints stand beside a warning.
func TestOfferedKeyIsTakenByAMember(t *testing.T) {
	w := cryptoTeam(t)
	tove := w.SignedIn("Tove")
	f, code := w.byForm(world.Field{Name: "description", Value: "Tokens can be guessed."})
	id := string(f.c.Reporters[0].ID)
	finn, other := person(t, w.DB.Now(), "Finn & Co", "finn@finder.example"), person(t, w.DB.Now(), "Mallory", "finn@finder.example")
	add := func(text string, files ...world.File) {
		t.Helper()
		w.mailbox(code).Submit("form-add", []world.Field{{Name: "text", Value: text}}, files...).OK()
		w.Settle()
	}
	inUse := func(want string) {
		t.Helper()
		if got := w.look(f).c.Reporters[0].KeyPrint; got != want {
			t.Fatalf("answers are encrypted to %q, want %q", got, want)
		}
	}
	shown := func(s *pgp.Secret) string { return s.Certificate().FingerprintGroups() }
	form := func(p *world.Page) string {
		t.Helper()
		ids := regexp.MustCompile(`id="(form-take-key-[^"]+)"`).FindAllStringSubmatch(string(p.Body), -1)
		if len(ids) != 1 {
			t.Fatalf("the page has %d forms to take a key, want one: %q", len(ids), ids)
		}
		return ids[0][1]
	}

	add("Here is my key.", world.File{Field: "files", Name: "key.asc", Bytes: finn.Certificate().Armored()})
	inUse("")
	page := tove.Get(casePath(f)).OK().Has("A public key came with this message:", shown(finn), "Finn & Co", "Use this key for replies")
	if strings.Contains(string(page.Body), "Finn & Co") || strings.Contains(page.Text(), "We have another key") {
		t.Errorf("the page is\n%s", page.Text())
	}
	page.Submit(form(page), nil).OK()
	inUse(finn.Certificate().Fingerprint())
	if page = tove.Get(casePath(f)).OK(); strings.Contains(page.Text(), "A public key came with") {
		t.Error("the key in use is offered still")
	}

	add("Use this one now.", world.File{Field: "files", Name: "new.asc", Bytes: other.Certificate().Armored()})
	inUse(finn.Certificate().Fingerprint())
	page = tove.Get(casePath(f)).OK().Has("We have another key of this reporter. Compare by another way first", "The key in use: "+shown(finn), "The key that came: "+shown(other))
	if ravi := w.SignedIn("Ravi").Get(casePath(f)).OK().Has(shown(other)); strings.Contains(string(ravi.Body), "form-take-key-") {
		t.Error("a releaser is offered to take the key, which is a triager's")
	}
	page.Submit(form(page), nil).OK()
	inUse(other.Certificate().Fingerprint())

	tove.Get(casePath(f)).OK().Submit("form-reply-"+id, []world.Field{{Name: "text", Value: "Thank you."}}).OK()
	w.Advance(31 * time.Second)
	w.Settle()
	w.mailbox(code).Has("BEGIN PGP MESSAGE")
}
