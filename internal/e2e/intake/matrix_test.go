package intake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/instance"
	"postern/internal/pgp"
)

const (
	reportTitle = "Path traversal in the archive module"
	report      = "Hello,\n\nPath traversal in the archive module\nA crafted archive writes outside its folder.\n"
	proof       = "print('x')\n"
)

// imapBox is a real IMAP server with one mailbox.
type imapBox struct {
	user *imapmemserver.User
	url  string
}

func newIMAP(t *testing.T) *imapBox {
	t.Helper()
	b := &imapBox{user: imapmemserver.NewUser("lantern", "secret")}
	must(t, b.user.Create("INBOX", nil))
	memory := imapmemserver.New()
	memory.AddUser(b.user)
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, InsecureAuth: true, Logger: log.New(io.Discard, "", 0),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	b.url = "imap+insecure://lantern:secret@" + l.Addr().String()
	return b
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return int64(l.Len()) }

// TestD8EveryShapeByEveryChannel: the same report, encrypted or not, signed or
// not, whole or mangled, by every way in, gives the same case with the
// protection that was really there.
func TestD8EveryShapeByEveryChannel(t *testing.T) {
	world.Need(t, "gpg", "swaks", "mutt", "chromium")
	box := newIMAP(t)
	var gate string
	w := newTeam(t, world.Config{Change: func(c *instance.Config) { c.IMAPURL, gate = box.url, c.GateDatabaseURL }})
	g := world.NewGPG(t)
	g.Run(w.Visit(w.GateURL).Get("/key.asc").OK().Body, "--import")
	finn := "Finn Finder <finn@finder.example>"
	finnKey := g.NewKey(finn)
	certs, err := pgp.ParseCertificates(finnKey)
	must(t, err)
	print := certs[0].Fingerprint()
	gpg := func(plain []byte, args ...string) string {
		out, _ := g.Run(plain, append([]string{"--armor", "--trust-model", "always", "-r", address, "-u", "finn@finder.example"}, args...)...)
		return string(out)
	}
	whole := entity(report, "poc.py", proof)
	// Each is encrypted anew: the same ciphertext again would be a replay.
	encrypted := func() string { return gpg(whole, "--encrypt") }
	signed := func() string { return gpg(whole, "--encrypt", "--sign") }
	inline := func() string { return gpg([]byte(report), "--encrypt") }
	inlineSigned := func() string { return gpg([]byte(report), "--encrypt", "--sign") }
	proofArmor := func() string { return gpg([]byte(proof), "--encrypt") }
	clearSigned := gpg([]byte(report), "--clear-sign")
	part1 := string(crlf(part("text/plain; charset=utf-8", report)))
	detached := gpg([]byte(strings.TrimSuffix(part1, "\r\n")), "--detach-sign") // the last line end belongs to the boundary

	sealed := disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}
	private := sealed
	private.Encryption = disclosure.ToCurrentKey
	by := func(p disclosure.Protection, sig disclosure.Signature) disclosure.Protection {
		p.Signature, p.Signer = sig, print
		if sig == disclosure.SignedUnchecked {
			p.Problem = string(pgp.SignerNotFound)
		}
		return p
	}
	key := part("application/pgp-keys", string(finnKey))
	ver := part("application/pgp-encrypted", "Version: 1\n")
	attach := func(name, kind, content string) string {
		return "Content-Type: " + kind + "\nContent-Disposition: attachment; filename=\"" + name + "\"\n\n" + content
	}
	mixed := func(subject string, parts ...string) []byte {
		return multipart(finn, subject, "multipart/mixed", parts...)
	}

	// shapes are the mails; each goes by every channel that carries mails.
	shapes := []struct {
		name string
		raw  func() []byte
		file bool
		want disclosure.Protection
	}{
		{"plain", func() []byte { return plain(finn, reportTitle, report) }, false, sealed},
		{"plain with a file", func() []byte {
			return mixed(reportTitle, part("text/plain", report), "Content-Type: text/x-python; name=poc.py\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(proof)))
		}, true, sealed},
		{"inline PGP", func() []byte { return plain(finn, "...", inline()) }, false, private},
		{"inline PGP, signed", func() []byte { return plain(finn, "...", inlineSigned()) }, false, by(private, disclosure.SignedUnchecked)},
		{"PGP/MIME", func() []byte { return pgpMIME(finn, "...", []byte(encrypted())) }, true, private},
		{"PGP/MIME, signed", func() []byte { return pgpMIME(finn, "...", []byte(signed())) }, true, by(private, disclosure.SignedUnchecked)},
		{"PGP/MIME, mangled by Exchange", func() []byte {
			return mixed("...", part("text/plain", "\n"), ver, part("application/octet-stream", encrypted()))
		}, true, private},
		{"encrypted attachment", func() []byte {
			return mixed("...", part("text/plain", inline()), attach("poc.py.asc", "application/octet-stream", proofArmor()))
		}, true, private},
		{"clear-signed", func() []byte { return plain(finn, "...", clearSigned) }, false, by(sealed, disclosure.SignedUnchecked)},
		{"multipart/signed", func() []byte {
			return multipart(finn, "...", `multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"`,
				strings.TrimSuffix(strings.ReplaceAll(part1, "\r\n", "\n"), "\n"), part("application/pgp-signature", detached))
		}, false, by(sealed, disclosure.SignedUnchecked)},
		{"PGP/MIME, signed, key along", func() []byte {
			return pgpMIME(finn, "...", []byte(gpg(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", strings.ReplaceAll(string(whole), "\r\n", "\n"), key)), "--encrypt", "--sign")))
		}, true, by(private, disclosure.SignedUnknown)},
	}
	channels := []struct {
		name string
		send func(*testing.T, []byte)
		want disclosure.Channel
	}{
		{"SMTP", func(t *testing.T, raw []byte) { must(t, w.try("finn@finder.example", address, raw)) }, disclosure.ByMail},
		{"swaks", func(t *testing.T, raw []byte) { w.swaks(raw) }, disclosure.ByMail},
		{"IMAP", func(t *testing.T, raw []byte) {
			before := w.arrivals()
			_, err := box.user.Append("INBOX", literal{bytes.NewReader(raw)}, &imap.AppendOptions{})
			must(t, err)
			w.Until("the mail to be fetched", func() bool { return w.arrivals() > before })
		}, disclosure.ByFetch},
		{"pipe", func(t *testing.T, raw []byte) {
			if code, said := w.deliver(raw, []string{"POSTERN_GATE_DATABASE_URL=" + gate}, "-f", "finn@finder.example", address); code != 0 {
				t.Fatalf("deliver: exit %d: %s", code, said)
			}
		}, disclosure.ByMail},
	}
	for _, c := range channels {
		for _, s := range shapes {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				c.send(t, s.raw())
				w.same(t, s.file, s.want, c.want)
			})
		}
	}

	t.Run("form without script", func(t *testing.T) {
		w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", []world.Field{{Name: "description", Value: report}}, world.File{Field: "files", Name: "poc.py", Bytes: []byte(proof)})
		w.same(t, true, sealed, disclosure.ByForm)
	})
	t.Run("form, pasted", func(t *testing.T) {
		w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", []world.Field{{Name: "description", Value: inline()}})
		w.same(t, false, private, disclosure.ByForm)
	})
	t.Run("form with script", func(t *testing.T) { // typed in Chromium, encrypted by the page
		file := filepath.Join(t.TempDir(), "poc.py")
		must(t, os.WriteFile(file, []byte(proof), 0o600))
		b := world.NewTab(t)
		b.Open(w.GateURL + "/report")
		b.Type("#description", report)
		b.Choose("#files", file)
		if status := b.Submit("#form-report"); status != http.StatusCreated {
			t.Fatalf("the form answers %d: %s", status, b.Text())
		}
		w.same(t, true, private, disclosure.ByForm)
		if raw := w.original(w.newest().arrival); bytes.Contains(raw, []byte("poc.py")) || bytes.Contains(raw, []byte("traversal")) {
			t.Errorf("what arrived shows the file's name or the text: %q", raw)
		}
		b.Click("#code-kept")
	})
	m := newMutt(t, g, "finn@finder.example", w.Cert.Fingerprint(), w.at)
	const classic = "set crypt_use_gpgme=no\nset pgp_autoinline=yes\n"
	for _, x := range []struct {
		name, settings string
		file           bool
		want           disclosure.Protection
	}{
		{"plain", "", true, sealed},
		{"PGP/MIME", "set crypt_autoencrypt=yes", true, private},
		{"PGP/MIME, signed", "set crypt_autoencrypt=yes crypt_autosign=yes", true, by(private, disclosure.SignedUnchecked)},
		{"signed", "set crypt_autosign=yes", true, by(sealed, disclosure.SignedUnchecked)},
		{"inline, signed", classic + "set crypt_autoencrypt=yes crypt_autosign=yes", false, by(private, disclosure.SignedUnchecked)},
	} {
		t.Run("mutt/"+x.name, func(t *testing.T) {
			files := map[string]string{}
			if x.file {
				files["poc.py"] = proof
			}
			m.send(t, x.settings, reportTitle, report, files)
			w.same(t, x.file, x.want, disclosure.ByMail)
		})
	}
	for name, x := range map[string]struct {
		armor func() string
		file  bool
		want  disclosure.Protection
	}{
		"inline":         {inline, false, private},
		"with a file":    {encrypted, true, private},
		"signed":         {signed, true, by(private, disclosure.SignedUnchecked)},
		"signed, inline": {inlineSigned, false, by(private, disclosure.SignedUnchecked)},
	} {
		t.Run("API armored/"+name, func(t *testing.T) {
			w.api(t, "application/pgp-encrypted", []byte(x.armor()))
			w.same(t, x.file, x.want, disclosure.ByAPI)
		})
	}
	t.Run("API JSON", func(t *testing.T) {
		b, err := json.Marshal(disclosure.ReportJSON{Description: report, Files: []disclosure.FileJSON{{Name: "poc.py", Data: []byte(proof)}}})
		must(t, err)
		w.api(t, "application/json", b)
		w.same(t, true, sealed, disclosure.ByAPI)
	})
}

func (w *team) api(t *testing.T, kind string, b []byte) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.GateURL+"/api/v1/reports", bytes.NewReader(b))
	must(t, err)
	r.Header.Set("Content-Type", kind)
	if p := w.Visit(w.GateURL).Do(r); p.Status != http.StatusCreated {
		t.Fatalf("POST /api/v1/reports: %d %s", p.Status, p.Body)
	}
}

// same looks at the newest case: the same title, text and file whatever the
// way, and the protection that was there.
func (w *team) same(t *testing.T, file bool, want disclosure.Protection, channel disclosure.Channel) {
	t.Helper()
	f := w.newest()
	if f.c == nil {
		t.Fatalf("arrival %s made no case (opened: %v)", f.arrival, f.opened)
	}
	m := f.message(t)
	got := m.Protection
	if want.Signature == disclosure.SignedUnchecked && want.Problem == string(pgp.SignerNotFound) {
		want.Signer = got.Signer // without the certificate only the signing key's is known
		if got.Signer == "" {
			t.Error("the key that signed is not named")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("protection (-want +got):\n%s", diff)
	}
	if f.c.Title != reportTitle {
		t.Errorf("title is %q, want %q", f.c.Title, reportTitle)
	}
	if got, want := strings.TrimSpace(m.Text), strings.TrimSpace(report); got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if f.c.Attention != "" || f.c.State != disclosure.Received || f.c.Channel != channel || len(f.c.Reporters) != 1 {
		t.Errorf("attention %q, state %s, channel %s, %d reporters; want an ordinary case by %s", f.c.Attention, f.c.State, f.c.Channel, len(f.c.Reporters), channel)
	}
	var labels []string
	for _, x := range f.c.Files {
		got := w.file(x)
		if x.Label == "poc.py" && got != proof {
			t.Errorf("poc.py holds %q, want %q", got, proof)
		}
		if x.Type != "application/pgp-keys" {
			labels = append(labels, x.Label)
		}
	}
	if got, want := strings.Join(labels, " "), map[bool]string{true: "poc.py"}[file]; got != want {
		t.Errorf("files are %q, want %q", got, want)
	}
}

// swaks sends a mail as the swiss army knife for SMTP does.
func (w *team) swaks(raw []byte) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "mail")
	must(w.t, os.WriteFile(file, raw, 0o600))
	out, err := exec.Command("swaks", "--server", w.at, "--from", "finn@finder.example", "--to", address, "--data", "@"+file,
		"--helo", "finder.example", "--suppress-data", "--no-hints").CombinedOutput()
	if err != nil {
		w.t.Fatalf("swaks: %v\n%s", err, out)
	}
}
