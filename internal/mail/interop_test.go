package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/pgp"
)

// need skips unless every program is there.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " not installed")
		}
	}
}

// gpgHome is one person's GnuPG.
type gpgHome struct {
	t   testing.TB
	dir string
}

func newGPG(t testing.TB) gpgHome {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "g") // short: gpg's socket lives in it
	if err != nil {
		t.Fatal(err)
	}
	g := gpgHome{t, dir}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", dir, "--kill", "all").Run()
		_ = os.RemoveAll(dir)
	})
	return g
}

// run fails the test unless gpg exits 0: what it prints proves nothing.
func (g gpgHome) run(stdin []byte, args ...string) (stdout []byte, status string) {
	g.t.Helper()
	out, status, err := g.try(stdin, args...)
	if err != nil {
		g.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, status)
	}
	return out, status
}

func (g gpgHome) try(stdin []byte, args ...string) (stdout []byte, status string, err error) {
	cmd := exec.Command("gpg", append([]string{"--homedir", g.dir, "--batch", "--status-fd", "2", "--trust-model", "always", "--passphrase", ""}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &log
	err = cmd.Run()
	return out.Bytes(), log.String(), err
}

// newKey makes a key and returns its certificate.
func (g gpgHome) newKey(uid string) *pgp.Certificate {
	g.t.Helper()
	g.run(nil, "--quick-generate-key", uid, "future-default", "default", "never")
	out, _ := g.run(nil, "--export", uid)
	certs, err := pgp.ParseCertificates(out)
	if err != nil || len(certs) != 1 {
		g.t.Fatalf("ParseCertificates: %d, %v", len(certs), err)
	}
	return certs[0]
}

func newTeam(t testing.TB, now time.Time) *pgp.Secret {
	t.Helper()
	team, _, err := pgp.NewTeam("Lantern Security", "security@team.example", now)
	if err != nil {
		t.Fatal(err)
	}
	return team
}

// notmuchPart is what we ask of notmuch's JSON.
type notmuchPart struct {
	ID      int             `json:"id"`
	Type    string          `json:"content-type"`
	Content json.RawMessage `json:"content"`
	Name    string          `json:"filename"`
}

type notmuchMessage struct {
	Crypto struct {
		Signed *struct {
			Status []struct {
				Status      string `json:"status"`
				Fingerprint string `json:"fingerprint"`
			} `json:"status"`
			Encrypted bool `json:"encrypted"`
		} `json:"signed"`
		Decrypted *struct {
			Status     string            `json:"status"`
			HeaderMask map[string]string `json:"header-mask"`
		} `json:"decrypted"`
	} `json:"crypto"`
	Headers map[string]string `json:"headers"`
	Body    []notmuchPart     `json:"body"`
}

// notmuch shows one message as a distributor's program would; part asks for the raw bytes of one.
type notmuch struct {
	t    testing.TB
	home gpgHome
	dir  string
	id   string
}

func newNotmuch(t testing.TB, home gpgHome, raw []byte, id string) notmuch {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "mail", d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("[database]\npath=%s/mail\n[user]\nname=d\nprimary_email=d@one.example\n[new]\ntags=\n", dir)
	for name, content := range map[string][]byte{"config": []byte(config), "mail/cur/1:2,S": bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := notmuch{t, home, dir, strings.Trim(id, "<>")}
	n.run("new", "--quiet")
	return n
}

func (n notmuch) run(args ...string) []byte {
	n.t.Helper()
	cmd := exec.Command("notmuch", args...)
	cmd.Env = append(os.Environ(), "NOTMUCH_CONFIG="+n.dir+"/config", "GNUPGHOME="+n.home.dir)
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("notmuch %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (n notmuch) show() notmuchMessage {
	n.t.Helper()
	out := n.run("show", "--format=json", "--entire-thread=false", "--verify", "--decrypt=true", "id:"+n.id)
	var nested any
	if err := json.Unmarshal(out, &nested); err != nil {
		n.t.Fatal(err)
	}
	for { // threads of messages of replies
		list, ok := nested.([]any)
		if !ok {
			break
		}
		if len(list) == 0 {
			n.t.Fatalf("notmuch found nothing: %s", out)
		}
		nested = list[0]
	}
	b, _ := json.Marshal(nested)
	var m notmuchMessage
	if err := json.Unmarshal(b, &m); err != nil {
		n.t.Fatal(err)
	}
	return m
}

func (n notmuch) part(id int) []byte {
	return n.run("show", "--format=raw", "--decrypt=true", fmt.Sprintf("--part=%d", id), "id:"+n.id)
}

// find returns the part with a file name, anywhere.
func find(parts []notmuchPart, name string) (notmuchPart, bool) {
	for _, p := range parts {
		if p.Name == name {
			return p, true
		}
		var children []notmuchPart
		if json.Unmarshal(p.Content, &children) == nil {
			if found, ok := find(children, name); ok {
				return found, true
			}
		}
	}
	return notmuchPart{}, false
}

// ciphertextOf cuts the armored message out with the standard library's reader.
func ciphertextOf(t testing.TB, raw []byte) []byte {
	t.Helper()
	parts := stdlibParts(t, raw)
	if len(parts) != 2 || !strings.HasPrefix(string(parts[0]), "Version: 1") {
		t.Fatalf("multipart/encrypted has %d parts", len(parts))
	}
	return parts[1]
}

// TestFrozenNoticeElsewhere sends one frozen notice to one distributor and opens it with gpg,
// notmuch, git, and our own Read.
func TestFrozenNoticeElsewhere(t *testing.T) {
	need(t, "gpg", "notmuch", "git")
	now := time.Now()
	team := newTeam(t, now)
	home := newGPG(t)
	cert := home.newKey("dist@one.example")
	now = time.Now() // not before the key
	home.run(team.Certificate().Armored(), "--import")

	frozen, err := Freeze(sampleFrozen())
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := pgp.Prepare(frozen, team, now)
	if err != nil {
		t.Fatal(err)
	}
	o := sampleOuter()
	o.Date, o.MessageID, o.AutocryptKey = now, NewMessageID("team.example"), team.Certificate().Minimal().Binary()
	var b bytes.Buffer
	if err := WriteEncrypted(&b, o, func(w io.Writer) error { return prepared.Encrypt(w, []*pgp.Certificate{cert}, now) }); err != nil {
		t.Fatal(err)
	}
	checkWire(t, b.Bytes())

	plain, status := home.run(ciphertextOf(t, b.Bytes()), "-d")
	if !strings.Contains(status, "GOODSIG") || !strings.Contains(status, "DECRYPTION_OKAY") || !strings.Contains(status, "GOODMDC") {
		t.Errorf("gpg -d status:\n%s", status)
	}
	if !bytes.Equal(plain, frozen) {
		t.Errorf("gpg -d gave %d octets, want the %d frozen ones", len(plain), len(frozen))
	}
	patch := stdlibParts(t, plain)[1]
	applies(t, patch)

	n := newNotmuch(t, home, b.Bytes(), o.MessageID)
	m := n.show()
	if s := m.Crypto.Signed; s == nil || len(s.Status) != 1 || s.Status[0].Status != "good" || !signsWith(team, s.Status[0].Fingerprint, now) {
		t.Errorf("notmuch signed = %+v, want good by the team", s)
	}
	if d := m.Crypto.Decrypted; d == nil || d.Status != "full" || d.HeaderMask["Subject"] != HiddenSubject {
		t.Errorf("notmuch decrypted = %+v, want full, Subject masked", d)
	}
	if got, want := m.Headers["Subject"], sampleFrozen().Subject; got != want {
		t.Errorf("notmuch Subject = %q, want %q", got, want)
	}
	if p, ok := find(m.Body, "0001-fix-the-lantern.patch"); !ok {
		t.Errorf("notmuch shows no patch: %+v", m.Body)
	} else if got := n.part(p.ID); !bytes.Equal(got, []byte(samplePatch)) {
		t.Errorf("notmuch part = %q, want the patch", got)
	}
}

// TestReleaserSignsElsewhere has a person sign the frozen bytes with gpg, as the releaser does; a
// distributor sees that person's signature and no other.
func TestReleaserSignsElsewhere(t *testing.T) {
	need(t, "gpg", "notmuch")
	releaser, distributor := newGPG(t), newGPG(t)
	person := releaser.newKey("Ada <ada@team.example>")
	cert := distributor.newKey("dist@one.example")
	now := time.Now() // not before the keys
	distributor.run(person.Armored(), "--import")
	m := sampleFrozen()
	m.From = "Ada <ada@team.example>"
	frozen, err := Freeze(m)
	if err != nil {
		t.Fatal(err)
	}
	signature, _ := releaser.run(frozen, "--detach-sign", "--digest-algo", "SHA512")
	prepared, err := pgp.PrepareWithSignature(frozen, signature)
	if err != nil {
		t.Fatal(err)
	}
	o := sampleOuter()
	o.From, o.Date, o.MessageID = m.From, now, NewMessageID("team.example")
	var b bytes.Buffer
	if err := WriteEncrypted(&b, o, func(w io.Writer) error { return prepared.Encrypt(w, []*pgp.Certificate{cert}, now) }); err != nil {
		t.Fatal(err)
	}
	plain, status := distributor.run(ciphertextOf(t, b.Bytes()), "-d")
	if !strings.Contains(status, "GOODSIG") || !bytes.Equal(plain, frozen) {
		t.Errorf("gpg -d status:\n%s", status)
	}
	shown := newNotmuch(t, distributor, b.Bytes(), o.MessageID).show()
	if s := shown.Crypto.Signed; s == nil || len(s.Status) != 1 || s.Status[0].Status != "good" || !strings.EqualFold(s.Status[0].Fingerprint, person.Fingerprint()) {
		t.Errorf("notmuch signed = %+v, want good by the releaser", s)
	}
	if shown.Headers["Subject"] != m.Subject {
		t.Errorf("notmuch Subject = %q, want %q", shown.Headers["Subject"], m.Subject)
	}
}

// TestReadWhatGPGWrites reads a report that gpg encrypted and signed, in the shapes gpg makes.
func TestReadWhatGPGWrites(t *testing.T) {
	need(t, "gpg")
	team := newTeam(t, time.Now())
	home := newGPG(t)
	reporter := home.newKey("Rae <rae@x.example>")
	home.run(team.Certificate().Armored(), "--import")
	ring := pgp.Ring{Secrets: []*pgp.Secret{team}, Known: func(uint64) []pgp.Known {
		return []pgp.Known{{Certificate: reporter, Label: "Rae"}}
	}}
	to := []string{"--armor", "-r", "security@team.example"}
	encrypt := func(plain string, args ...string) string {
		out, _ := home.run([]byte(plain), append(append(to[:len(to):len(to)], args...), "--encrypt")...)
		return string(out)
	}
	clear, _ := home.run([]byte("- dash\n"+report), "--clearsign")
	entity := part("text/plain", report)
	detached, _ := home.run([]byte(entity), "--armor", "--detach-sign")
	binary, _ := home.run([]byte(report), "-r", "security@team.example", "--encrypt")
	for name, test := range map[string]struct{ raw, want string }{
		"inline":        {part("text/plain", encrypt(report)), `current/none/whole | text "The lantern explodes.\n"`},
		"signed":        {part("text/plain", encrypt(report, "--sign")), `current/valid-known/whole | text "The lantern explodes.\n"`},
		"text mode":     {pgpMIME(encrypt(entity, "--sign", "--textmode")), `current/valid-known/whole | text "The lantern explodes.\n"`},
		"hidden":        {pgpMIME(encrypt(entity, "--throw-keyids")), `current/none/whole | text "The lantern explodes.\n"`},
		"bzip2":         {pgpMIME(encrypt(entity, "--compress-algo", "bzip2")), `current/none/whole | text "The lantern explodes.\n"`},
		"clear-signed":  {part("text/plain", string(clear)), `none/valid-known/whole | text "- dash\nThe lantern explodes.\n"`},
		"PGP/MIME sign": {mixed(`multipart/signed; protocol="application/pgp-signature"`, "s", entity, part("application/pgp-signature", string(detached))), `none/valid-known/whole | text "The lantern explodes.\n" | signature`},
		"binary file": {mixed("multipart/mixed", "m", "Content-Type: application/octet-stream; name=\"report.txt.gpg\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString(binary)),
			`current/none/whole | text "report.txt" "The lantern explodes.\n"`},
	} {
		m, err := Read(context.Background(), []byte(outerHeader+test.raw), ring, time.Now(), DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got := short(m); got != test.want {
			t.Errorf("%s: Read = %s\nwant %s", name, got, test.want)
		}
		if m.Protection.Signature == pgp.SignatureValidKnown && m.Protection.SignerLabel != "Rae" {
			t.Errorf("%s: signer %q, want Rae", name, m.Protection.SignerLabel)
		}
	}
}

func signsWith(s *pgp.Secret, fingerprint string, now time.Time) bool {
	for _, k := range s.Subkeys(now) {
		if k.CanSign && strings.EqualFold(k.Fingerprint, fingerprint) {
			return true
		}
	}
	return false
}

// applies applies patch with git am in a repository made for it.
func applies(t testing.TB, patch []byte) {
	t.Helper()
	dir := t.TempDir()
	git := func(stdin []byte, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=d", "-c", "user.email=d@one.example", "-c", "core.autocrlf=false"}, args...)...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	git(nil, "init", "-q")
	if err := os.WriteFile(filepath.Join(dir, "lantern.txt"), []byte("one\n\ntwo\nthree\nfour\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(nil, "add", "lantern.txt")
	git(nil, "commit", "-q", "-m", "lantern")
	git(patch, "am")
	got, err := os.ReadFile(filepath.Join(dir, "lantern.txt"))
	if want := "one\n\nzwei, öl  \nthree\nvier\n"; err != nil || string(got) != want {
		t.Errorf("lantern.txt after git am = %q, %v, want %q", got, err, want)
	}
}

func TestReplyElsewhere(t *testing.T) {
	need(t, "gpg", "notmuch")
	now := time.Now()
	team := newTeam(t, now)
	home := newGPG(t)
	cert := home.newKey("dist@one.example")
	now = time.Now() // not before the key
	home.run(team.Certificate().Armored(), "--import")
	o := sampleOuter()
	o.Date, o.MessageID = now, NewMessageID("team.example")
	var b bytes.Buffer
	err := WriteEncryptedText(&b, o, "Re: öl in the lantern", "Thank you.\n", nil, func(entity []byte, w io.Writer) error {
		prepared, err := pgp.Prepare(entity, team, now)
		if err != nil {
			return err
		}
		return prepared.Encrypt(w, []*pgp.Certificate{cert}, now)
	})
	if err != nil {
		t.Fatal(err)
	}
	m := newNotmuch(t, home, b.Bytes(), o.MessageID).show()
	if s := m.Crypto.Signed; s == nil || len(s.Status) != 1 || s.Status[0].Status != "good" {
		t.Errorf("notmuch signed = %+v, want good", s)
	}
	if d := m.Crypto.Decrypted; d == nil || d.Status != "full" {
		t.Errorf("notmuch decrypted = %+v, want full", d)
	}
	if got := m.Headers["Subject"]; got != "Re: öl in the lantern" {
		t.Errorf("notmuch Subject = %q", got)
	}
}

// TestAnnouncementElsewhere signs in clear, by the announcement's and by the clear notice's way.
func TestAnnouncementElsewhere(t *testing.T) {
	need(t, "gpg", "notmuch")
	now := time.Now()
	team := newTeam(t, now)
	home := newGPG(t)
	home.run(team.Certificate().Armored(), "--import")
	o := sampleOuter()
	o.Date, o.Subject = now, "Lantern 4.2.1: security release"

	announcement, err := SignedEntity(o, "Lantern 4.2.1 is out.\n\nFrom today — öffentlich. \n", []Part{{Name: "a.patch", Type: "text/x-diff", Bytes: []byte(samplePatch)}})
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := Freeze(sampleFrozen())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		entity  []byte
		subject string
	}{"announcement": {announcement, o.Subject}, "clear notice": {frozen, sampleFrozen().Subject}} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.MessageID = NewMessageID("team.example")
			var b bytes.Buffer
			signature, micalg, err := pgp.DetachSign(c.entity, team, now)
			if err != nil {
				t.Fatal(err)
			}
			if name == "clear notice" {
				err = WriteClear(&b, o, c.entity, signature, micalg)
			} else {
				err = WriteSigned(&b, o, c.entity, func([]byte) ([]byte, string, error) { return signature, micalg, nil })
			}
			if err != nil {
				t.Fatal(err)
			}
			checkWire(t, b.Bytes())
			_, body := splitEntity(b.Bytes())
			parts, closed, _ := splitMultipart(body, boundaryOf(b.Bytes()), 5)
			if len(parts) != 2 || !closed || !bytes.Equal(parts[0], c.entity) {
				t.Fatalf("the signed part is not the entity: %d parts", len(parts))
			}
			sig := filepath.Join(t.TempDir(), "s.asc")
			if err := os.WriteFile(sig, bodyOf(parts[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, status := home.run(parts[0], "--verify", sig, "-"); !strings.Contains(status, "GOODSIG") {
				t.Errorf("gpg --verify status:\n%s", status)
			}
			m := newNotmuch(t, home, b.Bytes(), o.MessageID).show()
			if s := m.Crypto.Signed; s == nil || len(s.Status) != 1 || s.Status[0].Status != "good" {
				t.Errorf("notmuch signed = %+v, want good", s)
			}
			bad := bytes.Replace(b.Bytes(), []byte("Lantern"), []byte("Lamtern"), -1)
			if s := newNotmuch(t, home, bad, o.MessageID).show().Crypto.Signed; s != nil && len(s.Status) > 0 && s.Status[0].Status == "good" {
				t.Error("notmuch calls a changed message good")
			}
		})
	}
}

func TestWriteClearUnsigned(t *testing.T) {
	frozen, err := Freeze(sampleFrozen())
	if err != nil {
		t.Fatal(err)
	}
	o := sampleOuter()
	o.Subject = "Lantern: security release"
	var b bytes.Buffer
	if err := WriteClear(&b, o, frozen, nil, ""); err != nil {
		t.Fatal(err)
	}
	checkWire(t, b.Bytes())
	if bytes.Contains(b.Bytes(), []byte("hp=")) || bytes.Contains(b.Bytes(), []byte("protected-headers")) || bytes.Contains(b.Bytes(), []byte("HP-Outer")) {
		t.Errorf("an unprotected message claims protection:\n%s", b.Bytes())
	}
	if parts := stdlibParts(t, b.Bytes()); len(parts) != 3 || !bytes.Equal(parts[1], []byte(samplePatch)) {
		t.Errorf("parts = %d", len(parts))
	}
}

// TestNoProtectionClaimedInClear: RFC 9788 §2.1.1 wants hp="clear" where a
// message is signed and not encrypted, and nothing hidden outside.
func TestNoProtectionClaimedInClear(t *testing.T) {
	team, _, err := pgp.NewTeam("Lantern security team", "security@lantern.example", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []bool{false, true} {
		for _, signer := range []*pgp.Secret{nil, team} {
			m := sampleFrozen()
			m.Public = public
			frozen, err := Freeze(m)
			if err != nil {
				t.Fatal(err)
			}
			if hides := bytes.Contains(frozen, []byte("HP-Outer")); hides == public {
				t.Errorf("Freeze of a public %v notice: HP-Outer in it = %v", public, hides)
			}
			o := sampleOuter()
			o.Date = time.Now()
			write := map[string]func(*bytes.Buffer) error{
				"announcement": func(b *bytes.Buffer) error { return WriteAnnouncement(b, o, frozen, signer, o.Date) },
				"notice in clear": func(b *bytes.Buffer) error {
					n, err := PrepareNotice(frozen, nil, signer, o.Date)
					if err != nil {
						return err
					}
					return n.WriteClear(b, o)
				},
			}
			for what, write := range write {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				flat := strings.ReplaceAll(b.String(), "\r\n ", " ")
				if strings.Contains(flat, `hp="cipher"`) || strings.Contains(flat, "HP-Outer") || strings.Contains(flat, "[...]") {
					t.Errorf("%s, signed %v: claims what is for encrypted mail:\n%s", what, signer != nil, b.Bytes())
				}
				if clear := strings.Contains(flat, `hp="clear"`); clear != (signer != nil) {
					t.Errorf("%s, signed %v: hp=\"clear\" = %v", what, signer != nil, clear)
				}
				if !bytes.Contains(b.Bytes(), []byte("Subject: ")) {
					t.Errorf("%s has no Subject", what)
				}
			}
		}
	}
}
