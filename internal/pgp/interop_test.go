package pgp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gpgSigners are an RSA and an EdDSA key: the missing armor checksum shows with
// one or the other, depending on the hash (dependencies.md §2.3, trap 5).
var gpgSigners = []string{"alice", "bob", "carol"}

func TestClearSignGPG(t *testing.T) {
	texts := []string{"one line", "dashes\n- here\n-----BEGIN PGP SIGNATURE-----\nFrom me\n", "trailing  \t\r\nblank\r\n\r\n", "", "\n\n", "Grüße\n"}
	for _, name := range gpgSigners {
		s := secret(t, name)
		home := gpgHome(t, s.Certificate().Armored())
		for i, text := range texts {
			for n := range 3 { // a salt makes each differ in length of encoding
				at := time.Now().Add(-time.Duration(n+1) * time.Second)
				got, err := ClearSign([]byte(text), s, at)
				if err != nil {
					t.Fatalf("ClearSign(%s, %q) = %v", name, text, err)
				}
				_, status := gpg(t, home, got, "--verify")
				wants(t, fmt.Sprintf("gpg --verify of text %d by %s", i, name), status, "GOODSIG", "VALIDSIG")
			}
		}
	}
}

func TestDetachSignGPG(t *testing.T) {
	for _, name := range gpgSigners {
		s := secret(t, name)
		home := gpgHome(t, s.Certificate().Armored())
		for n := range 6 {
			data := bytes.Repeat([]byte("line\r\n"), n)
			sig, micalg, err := DetachSign(data, s, time.Now().Add(-time.Minute))
			if err != nil || micalg != "pgp-sha512" {
				t.Fatalf("DetachSign(%s) = %q, %v, want pgp-sha512", name, micalg, err)
			}
			file := filepath.Join(t.TempDir(), "sig.asc")
			if err := os.WriteFile(file, sig, 0o600); err != nil {
				t.Fatal(err)
			}
			_, status := gpg(t, home, data, "--verify", file, "-")
			wants(t, "gpg --verify of a detached signature by "+name, status, "GOODSIG")
			if !bytes.Contains(sig, []byte("\n=")) {
				t.Errorf("DetachSign(%s): no armor checksum in\n%s", name, sig)
			}
		}
	}
}

func TestTeamKeyGPG(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	s, revocation, err := NewTeam("Lantern Security", "security@lantern.example", at)
	if err != nil {
		t.Fatalf("NewTeam() = %v", err)
	}
	exported, err := s.Export([]byte("correct horse"))
	if err != nil {
		t.Fatalf("Export() = %v", err)
	}
	home := gpgHome(t)
	if _, status, err := tryGPG(home, exported, "--passphrase", "correct horse", "--import"); err != nil {
		t.Fatalf("gpg --import of Export(): %v\n%s", err, status)
	}
	out, _ := gpg(t, home, nil, "--with-colons", "--list-secret-keys")
	caps := map[string]int{}
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Split(line, ":")
		if f[0] == "sec" || f[0] == "ssb" {
			caps[f[0]+" "+strings.ToLower(f[11][:1])+" "+f[3]]++
			if f[0] == "ssb" && f[6] == "" || f[0] == "sec" && f[6] != "" {
				t.Errorf("gpg lists %s, expiring %q", line, f[6])
			}
		}
	}
	for _, want := range []string{"sec c 22", "ssb s 22", "ssb e 18"} {
		if caps[want] != 1 {
			t.Errorf("gpg lists %v, want one %q", caps, want)
		}
	}
	// A renewed key, signed with and encrypted to.
	renewed, err := s.Renew(at.Add(time.Minute))
	if err != nil {
		t.Fatalf("Renew() = %v", err)
	}
	if n := len(renewed.Certificate().KeyIDs()); n != 5 {
		t.Errorf("Renew(): %d keys, want 5", n)
	}
	other := gpgHome(t, renewed.Certificate().Armored())
	msg, _ := gpg(t, other, []byte("to the team"), "--armor", "-r", renewed.Certificate().Fingerprint(), "--encrypt")
	got, j, err := open(msg, Ring{Secrets: []*Secret{renewed}})
	if err != nil || got != "to the team" {
		t.Fatalf("Open(gpg's message) = %q, %v, %v", got, j, err)
	}
	if _, status := gpg(t, other, revocation, "--trust-model", "pgp", "--import"); !strings.Contains(status, "revoc") {
		t.Errorf("gpg --import of the revocation certificate:\n%s", status)
	}
	out, _ = gpg(t, other, nil, "--with-colons", "--list-keys")
	if !strings.Contains(string(out), "pub:r:") {
		t.Errorf("after its revocation gpg lists\n%s", out)
	}
}

func TestOfflinePrimary(t *testing.T) {
	s, _, err := NewTeam("Lantern Security", "security@lantern.example", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := s.Export([]byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	home := gpgHome(t)
	if _, status, err := tryGPG(home, whole, "--passphrase", "pass", "--import"); err != nil {
		t.Fatalf("gpg --import: %v\n%s", err, status)
	}
	sub, status, err := tryGPG(home, nil, "--passphrase", "pass", "--armor", "--export-secret-subkeys")
	if err != nil {
		t.Fatalf("gpg --export-secret-subkeys: %v\n%s", err, status)
	}
	if _, err := ParseSecret(sub, []byte("wrong")); err != ErrPassphrase {
		t.Errorf("ParseSecret(wrong passphrase) = %v, want ErrPassphrase", err)
	}
	got, err := ParseSecret(sub, []byte("pass"))
	if err != nil {
		t.Fatalf("ParseSecret(gpg --export-secret-subkeys) = %v", err)
	}
	if got, err = ParseSecret(got.Bytes(), nil); err != nil {
		t.Fatalf("ParseSecret(Bytes()) = %v", err)
	}
	if _, err := got.Renew(time.Now()); err != ErrOfflinePrimary {
		t.Errorf("Renew() without the primary = %v, want ErrOfflinePrimary", err)
	}
	signed, err := ClearSign([]byte("still signs\n"), got, time.Now())
	if err != nil {
		t.Fatalf("ClearSign() without the primary = %v", err)
	}
	_, status = gpg(t, gpgHome(t, got.Certificate().Armored()), signed, "--verify")
	wants(t, "gpg --verify", status, "GOODSIG")
	if _, err := got.Export([]byte("x")); err != nil {
		t.Errorf("Export() without the primary = %v", err)
	}
}

func TestEncryptGPG(t *testing.T) {
	entity := []byte(strings.Repeat("Content-Type: text/plain\r\n\r\nthe notice\r\n", 300))
	s := secret(t, "alice")
	for _, to := range gpgSigners {
		home := gpgHome(t, testdata(t, "keys/"+to+".sec.asc"), s.Certificate().Armored())
		releaser := gpgHome(t, testdata(t, "keys/bob.sec.asc"))
		detached, _ := gpg(t, releaser, entity, "--armor", "--detach-sign")
		signed, err := Prepare(entity, s, time.Now().Add(-time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		unsigned, err := PrepareUnsigned(entity)
		if err != nil {
			t.Fatal(err)
		}
		byReleaser, err := PrepareWithSignature(entity, detached)
		if err != nil {
			t.Fatalf("PrepareWithSignature() = %v", err)
		}
		gpg(t, home, testdata(t, "keys/bob.asc"), "--import")
		for name, p := range map[string]*Prepared{"team": signed, "unsigned": unsigned, "releaser": byReleaser} {
			var b bytes.Buffer
			if err := p.Encrypt(&b, []*Certificate{cert(t, to)}, time.Now()); err != nil {
				t.Fatalf("Encrypt(%s, %s) = %v", name, to, err)
			}
			out, status := gpg(t, home, b.Bytes(), "--decrypt")
			if !bytes.Equal(out, entity) {
				t.Errorf("gpg --decrypt of %s to %s: %d bytes, want %d", name, to, len(out), len(entity))
			}
			wants(t, "gpg --decrypt of "+name+" to "+to, status, "DECRYPTION_OKAY", "GOODMDC")
			if name != "unsigned" {
				wants(t, "gpg --decrypt of "+name+" to "+to, status, "GOODSIG", "VALIDSIG")
			}
			if n := strings.Count(status, "ENC_TO "); n != 1 {
				t.Errorf("gpg --decrypt of %s to %s: %d key packets, want 1\n%s", name, to, n, status)
			}
		}
	}
}

func TestEncryptSequoia(t *testing.T) {
	if _, err := exec.LookPath("sqop"); err != nil {
		t.Skip("sqop not installed")
	}
	entity := bytes.Repeat([]byte("a notice\r\n"), 4000)
	s, dir := secret(t, "bob"), t.TempDir()
	p, err := Prepare(entity, s, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Encrypt(&b, []*Certificate{cert(t, "alice")}, time.Now()); err != nil {
		t.Fatal(err)
	}
	signer, verdicts := filepath.Join(dir, "bob.asc"), filepath.Join(dir, "verified")
	if err := os.WriteFile(signer, s.Certificate().Armored(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sqop", "decrypt", "--verify-with", signer, "--verifications-out", verdicts, "testdata/keys/alice.sec.asc")
	cmd.Stdin = &b
	out, err := cmd.Output()
	if err != nil || !bytes.Equal(out, entity) {
		t.Fatalf("sqop decrypt: %d bytes, %v, want %d", len(out), err, len(entity))
	}
	if v, err := os.ReadFile(verdicts); err != nil || len(bytes.TrimSpace(v)) == 0 {
		t.Errorf("sqop found no valid signature: %v", err)
	}
	clear, err := ClearSign([]byte("- text\n"), s, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("sqop", "inline-verify", signer)
	cmd.Stdin = bytes.NewReader(clear)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sqop inline-verify: %v\n%s", err, out)
	}
	sig, _, err := DetachSign([]byte("data"), s, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sig")
	if err := os.WriteFile(file, sig, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("sqop", "verify", file, signer)
	cmd.Stdin = strings.NewReader("data")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sqop verify: %v\n%s", err, out)
	}
}

func TestSequoiaListsTeamKey(t *testing.T) {
	if _, err := exec.LookPath("sq"); err != nil {
		t.Skip("sq not installed")
	}
	s, _, err := NewTeam("Lantern Security", "security@lantern.example", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sq", "inspect")
	cmd.Stdin = bytes.NewReader(s.Certificate().Armored())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), s.Certificate().Fingerprint()) || strings.Contains(strings.ToLower(string(out)), "invalid") {
		t.Errorf("sq inspect: %v\n%s", err, out)
	}
}

// TestOpenGPG opens what gpg writes, in the forms it writes it.
func TestOpenGPG(t *testing.T) {
	s := team(t)
	bob := cert(t, "bob")
	home := gpgHome(t, testdata(t, "keys/bob.sec.asc"), s.Certificate().Armored())
	text := strings.Repeat("the report\n", 2000)
	fp := s.Certificate().Fingerprint()
	for name, c := range map[string]struct {
		args []string
		sig  Signature
		note Note
	}{
		"SHA-1":          {[]string{"--digest-algo", "SHA1", "-r", fp, "-s", "-e"}, SignatureInvalid, ""},
		"encrypted":      {[]string{"--armor", "-r", fp, "-e"}, SignatureNone, ""},
		"signed":         {[]string{"--armor", "-r", fp, "-s", "-e"}, SignatureValidKnown, ""},
		"binary":         {[]string{"-r", fp, "-s", "-e"}, SignatureValidKnown, ""},
		"hidden":         {[]string{"-R", fp, "-s", "-e"}, SignatureValidKnown, NoteHidden},
		"text mode":      {[]string{"--textmode", "--armor", "-r", fp, "-s", "-e"}, SignatureValidKnown, ""},
		"not compressed": {[]string{"-z", "0", "-r", fp, "-s", "-e"}, SignatureValidKnown, ""},
		"bzip2":          {[]string{"--compress-algo", "bzip2", "-r", fp, "-s", "-e"}, SignatureValidKnown, ""},
		"two recipients": {[]string{"-r", "bob@example.org", "-r", fp, "-e"}, SignatureNone, ""},
		"passphrase too": {[]string{"--passphrase", "x", "-r", fp, "-c", "-e"}, SignatureNone, NotePassphrase},
	} {
		msg, status, err := tryGPG(home, []byte(text), append([]string{"--faked-system-time", "20260520T000000!"}, c.args...)...)
		if err != nil {
			t.Fatalf("gpg %v: %v\n%s", c.args, err, status)
		}
		got, j, err := open(msg, Ring{Secrets: []*Secret{s}, Known: known("Bob", bob)})
		if strings.ReplaceAll(got, "\r\n", "\n") != text || err != nil {
			t.Errorf("Open(%s) = %d bytes, %v, %v, want %d", name, len(got), j, err, len(text))
		}
		if j.Encryption != EncryptedCurrent || j.Signature != c.sig || (j.Problem == SignatureWeak) != (c.sig == SignatureInvalid) {
			t.Errorf("Open(%s) judged %+v, want signature %s", name, j, c.sig)
		}
		if c.note != "" && (len(j.Notes) == 0 || j.Notes[0] != c.note) {
			t.Errorf("Open(%s) notes %v, want %s", name, j.Notes, c.note)
		}
	}
	clear, _ := gpg(t, home, []byte("- dash\ntext\n"), "--faked-system-time", "20260520T000000!", "--clearsign")
	in, j, err := OpenClearSigned(clear, known("Bob", bob), now)
	if err != nil || string(in) != "- dash\ntext\n" || j.Signature != SignatureValidKnown || j.Integrity != IntegrityWhole {
		t.Errorf("OpenClearSigned(gpg's) = %q, %+v, %v", in, j, err)
	}
	detached, _ := gpg(t, home, []byte("data\r\n"), "--faked-system-time", "20260520T000000!", "--armor", "--detach-sign")
	if j, err := VerifyDetached(strings.NewReader("data\r\n"), detached, known("", bob), now); err != nil || j.Signature != SignatureValidUnknown {
		t.Errorf("VerifyDetached(gpg's) = %+v, %v, want valid-unknown", j, err)
	}
	if j, err := VerifyDetached(strings.NewReader("data\n"), detached, known("", bob), now); err != nil || j.Signature != SignatureInvalid || j.Problem != SignatureMismatch {
		t.Errorf("VerifyDetached(other data) = %+v, %v, want invalid", j, err)
	}
}

func TestReleaserGPG(t *testing.T) {
	entity := []byte("Content-Type: text/plain\r\n\r\nfrozen\r\n")
	freeze := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	bob, alice := cert(t, "bob"), cert(t, "alice")
	home := gpgHome(t, testdata(t, "keys/bob.sec.asc"), testdata(t, "keys/alice.sec.asc"), testdata(t, "keys/expired.sec.asc"))
	sign := func(at string, args ...string) []byte {
		out, _ := gpg(t, home, entity, append([]string{"--faked-system-time", at + "!"}, args...)...)
		return out
	}
	good := sign("20260520T120000", "-u", "bob@example.org", "--armor", "--detach-sign")
	got, err := CheckReleaserSignature(entity, good, []*Certificate{alice, bob}, freeze, now)
	if err != nil || got.Fingerprint != bob.Fingerprint() || got.Certificate != bob {
		t.Fatalf("CheckReleaserSignature(good) = %+v, %v", got, err)
	}
	if _, err := PrepareWithSignature(entity, got.Packet); err != nil {
		t.Errorf("PrepareWithSignature(Packet) = %v", err)
	}
	alicePart := sign("20260520T120000", "-u", "alice@example.org", "--detach-sign")
	for name, c := range map[string]struct {
		sig  []byte
		want Refusal
		opts func(allowed *[]*Certificate, entity *[]byte)
	}{
		"binary":          {sig: sign("20260520T120000", "-u", "bob@example.org", "--detach-sign")},
		"before freeze":   {sig: sign("20260519T120000", "-u", "bob@example.org", "--detach-sign"), want: RefusedTooEarly},
		"future":          {sig: sign("20260701T120000", "-u", "bob@example.org", "--detach-sign"), want: RefusedFuture},
		"text mode":       {sig: sign("20260520T120000", "-u", "bob@example.org", "--textmode", "--detach-sign"), want: RefusedType},
		"SHA-1":           {sig: sign("20260520T120000", "-u", "bob@example.org", "--digest-algo", "SHA1", "--detach-sign"), want: RefusedHash},
		"SHA-256":         {sig: sign("20260520T120000", "-u", "bob@example.org", "--digest-algo", "SHA256", "--detach-sign")},
		"clear-signed":    {sig: sign("20260520T120000", "-u", "bob@example.org", "--clearsign"), want: RefusedClearSigned},
		"whole message":   {sig: sign("20260520T120000", "-u", "bob@example.org", "--sign"), want: RefusedMessage},
		"armored message": {sig: sign("20260520T120000", "-u", "bob@example.org", "--armor", "--sign"), want: RefusedMessage},
		"two packets":     {sig: sign("20260520T120000", "-u", "bob@example.org", "-u", "alice@example.org", "--detach-sign"), want: RefusedSeveral},
		"two armors":      {sig: append(bytes.Clone(good), good...), want: RefusedSeveral},
		"not registered":  {sig: alicePart, want: RefusedUnknownKey},
		"expired signature": {sig: sign("20260520T120000", "-u", "bob@example.org", "--default-sig-expire", "1d", "--detach-sign"),
			want: RefusedSigExpired},
		"nothing":      {sig: nil, want: RefusedNoSignature},
		"words":        {sig: []byte("I approve."), want: RefusedNoSignature},
		"public key":   {sig: testdata(t, "keys/bob.asc"), want: RefusedPublicKey},
		"private key":  {sig: testdata(t, "keys/bob.sec.asc"), want: RefusedPrivateKey},
		"cut off":      {sig: good[:200], want: RefusedDamaged},
		"other bytes":  {sig: good, want: RefusedOtherBytes, opts: func(_ *[]*Certificate, e *[]byte) { *e = append(*e, ' ') }},
		"version 3":    {sig: version3(alicePart), want: RefusedVersion},
		"key revoked":  {sig: alicePart, want: RefusedKeyRevoked, opts: func(a *[]*Certificate, _ *[]byte) { *a = []*Certificate{revokedNow(t, "alice")} }},
		"key expired":  {sig: sign("20200601T120000", "-u", "expired@example.org", "--detach-sign"), want: RefusedKeyExpired, opts: expiredSigner(t)},
		"not for sign": {sig: alicePart, want: RefusedUnknownKey, opts: func(a *[]*Certificate, _ *[]byte) { *a = nil }},
	} {
		allowed, e, from := []*Certificate{bob}, bytes.Clone(entity), freeze
		if c.opts != nil {
			c.opts(&allowed, &e)
		}
		if name == "key expired" {
			from = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		_, err := CheckReleaserSignature(e, c.sig, allowed, from, now)
		switch {
		case c.want == "" && err != nil, c.want != "" && err != c.want:
			t.Errorf("CheckReleaserSignature(%s) = %v, want %q", name, err, string(c.want))
		}
	}
}

func expiredSigner(t *testing.T) func(*[]*Certificate, *[]byte) {
	return func(a *[]*Certificate, _ *[]byte) { *a = []*Certificate{cert(t, "expired")} }
}

// revokedNow is a certificate that was revoked as compromised.
func revokedNow(t *testing.T, name string) *Certificate {
	t.Helper()
	s := secret(t, name)
	rev, err := s.revocation(now)
	if err != nil {
		t.Fatal(err)
	}
	block, ok := (&blockScanner{text: inMemory(rev)}).next(0)
	if !ok {
		t.Fatal("no revocation certificate")
	}
	raw := s.Certificate().Binary()
	h, n, _ := readHeader(raw)
	end := n + int(h.length)
	b := append(append(append([]byte(nil), raw[:end]...), block.body...), raw[end:]...)
	list, err := ParseCertificates(b)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// version3 makes a version 3 signature packet of a version 4 one's remains.
func version3(sig []byte) []byte {
	_, body, _, _, _ := splitPacket(sig)
	v3 := []byte{3, 5, 0, 0x60, 0, 0, 0}
	v3 = append(v3, make([]byte, 8)...)
	v3 = append(v3, body[1:]...)
	return append(binary.BigEndian.AppendUint32([]byte{0xc2, 255}, uint32(len(v3))), v3...)
}
