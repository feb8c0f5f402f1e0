package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
)

// TestHostile05Passphrase: a member who was told the passphrase of a message
// opens it at the desk; the passphrase is kept nowhere.
func TestHostile05Passphrase(t *testing.T) {
	world.Need(t, "gpg")
	w := newTeam(t, world.Config{})
	tove := w.SignedIn("Tove")
	const phrase = "seven green herons"
	mime := crlf("Content-Type: multipart/mixed; boundary=\"=_i\"\n\n" + body("=_i", part("text/plain", secret),
		"Content-Type: text/x-python\nContent-Disposition: attachment; filename=\"poc.py\"\n\nprint(1)\n"))
	argon := func(cfg *s2k.Argon2Config, aead *packet.AEADConfig) []byte {
		c := &packet.Config{DefaultCipher: packet.CipherAES256, AEADConfig: aead, S2KConfig: &s2k.Config{S2KMode: s2k.Argon2S2K, Argon2Config: cfg}}
		var b bytes.Buffer
		must(t, packet.SerializeSymmetricKeyEncryptedAEADReuseKey(&b, session, []byte(phrase), aead != nil, c))
		p, err := packet.SerializeSymmetricallyEncrypted(&b, packet.CipherAES256, aead != nil, packet.CipherSuite{Cipher: packet.CipherAES256, Mode: packet.AEADModeOCB}, session, c)
		must(t, err)
		_, err = p.Write(words(secret))
		must(t, err)
		must(t, p.Close())
		return armor(t, "PGP MESSAGE", b.Bytes())
	}
	cheap := &s2k.Argon2Config{NumberOfPasses: 1, DegreeOfParallelism: 1, Memory: 1 << 10}
	g := world.NewGPG(t)
	gpg := func(args ...string) []byte {
		out, _ := g.Run(mime, append([]string{"--passphrase", phrase, "--cipher-algo", "AES256", "--armor"}, args...)...)
		return out
	}
	other := person(t, w.DB.Now(), "Somebody", "else@example.org")
	for _, x := range []struct {
		name string
		raw  []byte
		file bool
	}{
		{"gpg -c", pgpMIME("finn@finder.example", "...", gpg("-c")), true},
		{"gpg -c with SHA-512", pgpMIME("finn@finder.example", "...", gpg("-c", "--s2k-digest-algo", "SHA512", "--s2k-count", "65011712")), true},
		{"Argon2", plain("finn@finder.example", "...", string(argon(cheap, nil))), false},
		{"Argon2 and AEAD", plain("finn@finder.example", "...", string(argon(cheap, &packet.AEADConfig{DefaultMode: packet.AEADModeOCB}))), false},
		{"to somebody else, too", plain("finn@finder.example", "...", string(armor(t, "PGP MESSAGE", joined(pkesk(t, other.Certificate(), false), phrased(t, phrase), seipd(t, words(secret)))))), false},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := w.post("finn@finder.example", x.raw)
			if m := f.message(t); m.Protection.Encryption != disclosure.Unopened || !strings.Contains(m.Protection.Problem, "passphrase") {
				t.Fatalf("protection %+v, want an unopened message that needs a passphrase", m.Protection)
			}
			at := fmt.Sprintf("/cases/%d", f.c.Number)
			form := "form-open-with-" + string(f.message(t).ID)
			events := len(w.events(f))
			for _, wrong := range []string{"", "seven green heron", strings.Repeat("x", 5000)} {
				p := tove.Get(at).OK().Submit(form, []world.Field{{Name: "passphrase", Value: wrong}})
				if p.Status != 422 || wrong != "" && !strings.Contains(string(p.Body), "This passphrase does not open the message") || wrong != "" && strings.Contains(string(p.Body), wrong) {
					t.Errorf("the passphrase %q: %d, want 422 with the reason and without the passphrase", wrong, p.Status)
				}
			}
			if got := w.look(f); got.message(t).Protection != f.message(t).Protection || got.c.Version != f.c.Version || len(w.events(f)) != events {
				t.Errorf("a wrong passphrase changed the case: %+v, %d new events", got.message(t).Protection, len(w.events(f))-events)
			}
			before := w.original(f.arrival)
			tove.Get(at).OK().Submit(form, []world.Field{{Name: "passphrase", Value: phrase}}).OK().Has("The message was opened.", secret)
			got := w.look(f)
			m := got.message(t)
			if m.Protection.Encryption != disclosure.WithPassphrase || m.Protection.Problem != "" || !strings.Contains(m.Text, secret) || got.c.Attention != "" || got.c.Title != secret {
				t.Errorf("with the passphrase: %+v, text %q, attention %q, title %q", m.Protection, m.Text, got.c.Attention, got.c.Title)
			}
			if x.file && (len(got.c.Files) != 1 || w.file(got.c.Files[0]) != "print(1)\n") {
				t.Errorf("files are %+v", got.c.Files)
			}
			if !bytes.Equal(before, w.original(f.arrival)) {
				t.Error("the original changed")
			}
			page := tove.Get(at).OK().Has("Encrypted with a passphrase", "A message was opened that could not be opened before")
			if strings.Contains(string(page.Body), form) {
				t.Error("the form is still there")
			}
		})
	}

	// What would cost more than we spend is not tried.
	var b bytes.Buffer
	must(t, packet.SerializeSymmetricKeyEncryptedReuseKey(&b, session, []byte(phrase), &packet.Config{DefaultCipher: packet.CipherAES256,
		S2KConfig: &s2k.Config{S2KMode: s2k.Argon2S2K, Argon2Config: cheap}}))
	dear := b.Bytes()
	dear[2+1+1+1+16+2] = 21 // header, version, cipher, S2K, salt, passes and lanes: 2 GiB
	dear = armor(t, "PGP MESSAGE", joined(dear, seipd(t, words(secret))))
	f := w.post("finn@finder.example", plain("finn@finder.example", "...", string(dear)))
	began := time.Now()
	p := tove.Get(fmt.Sprintf("/cases/%d", f.c.Number)).OK().Submit("form-open-with-"+string(f.message(t).ID), []world.Field{{Name: "passphrase", Value: phrase}})
	if p.Status != 422 || !strings.Contains(string(p.Body), "more memory or time") || time.Since(began) > 5*time.Second {
		t.Errorf("2 GiB of Argon2: %d after %s, want 422 at once", p.Status, time.Since(began))
	}

	// Nobody else may, and a message that opened, or of another case, is left alone.
	if err := w.Instance.Work.OpenWith(t.Context(), w.Member("Olek"), f.message(t).ID, []byte(phrase)); err == nil {
		t.Error("the auditor may try a passphrase")
	}
	if log := w.Log.String(); strings.Contains(log, "herons") {
		t.Error("the passphrase was logged")
	}
	if strings.Contains(w.SignedIn("Ada").Get("/log").OK().Text(), "herons") {
		t.Error("the passphrase is in the log")
	}
}

// phrased is a key packet for a passphrase.
func phrased(t *testing.T, phrase string) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, packet.SerializeSymmetricKeyEncryptedReuseKey(&b, session, []byte(phrase), &packet.Config{DefaultCipher: packet.CipherAES256}))
	return b.Bytes()
}
