package pgp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// now is when the tests take place, unless they ask an outside program, which
// knows only the wall.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cert(t testing.TB, name string) *Certificate {
	t.Helper()
	list, err := ParseCertificates(testdata(t, "keys/"+name+".asc"))
	if err != nil || len(list) != 1 {
		t.Fatalf("ParseCertificates(%s) = %d certificates, %v, want 1", name, len(list), err)
	}
	return list[0]
}

func secret(t testing.TB, name string) *Secret {
	t.Helper()
	s, err := ParseSecret(testdata(t, "keys/"+name+".sec.asc"), nil)
	if err != nil {
		t.Fatalf("ParseSecret(%s) = %v", name, err)
	}
	return s
}

func team(t testing.TB) *Secret {
	t.Helper()
	s, _, err := NewTeam("Lantern Security", "security@lantern.example", now.AddDate(0, -1, 0))
	if err != nil {
		t.Fatalf("NewTeam() = %v", err)
	}
	return s
}

func known(label string, certs ...*Certificate) func(uint64) []Known {
	return func(id uint64) (list []Known) {
		for _, c := range certs {
			if containsID(c.KeyIDs(), id) {
				list = append(list, Known{Certificate: c, Label: label})
			}
		}
		return list
	}
}

func open(msg []byte, ring Ring) (string, Judgment, error) {
	var out bytes.Buffer
	j, err := Open(context.Background(), bytes.NewReader(msg), ring, now, DefaultLimits, &out)
	return out.String(), j, err
}

// gpgHome is a throwaway GnuPG home with keys in it.
func gpgHome(t testing.TB, keys ...[]byte) string {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg not installed")
	}
	home, err := os.MkdirTemp("/tmp", "g") // short: the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	for _, k := range keys {
		gpg(t, home, k, "--import")
	}
	return home
}

// gpg runs gpg, whose exit status must be 0, and gives its output and status lines.
func gpg(t testing.TB, home string, in []byte, args ...string) (out []byte, status string) {
	t.Helper()
	out, status, err := tryGPG(home, in, args...)
	if err != nil {
		t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, status)
	}
	return out, status
}

func tryGPG(home string, in []byte, args ...string) ([]byte, string, error) {
	base := []string{"--homedir", home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always", "--status-fd", "2"}
	cmd := exec.Command("gpg", append(base, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var out, status bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &status
	err := cmd.Run()
	return out.Bytes(), status.String(), err
}

func wants(t *testing.T, what, status string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(status, w) {
			t.Errorf("%s: no %s in\n%s", what, w, status)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	s, alice := team(t), secret(t, "alice")
	entity := []byte(strings.Repeat("a notice, line upon line\r\n", 500))
	p, err := Prepare(entity, s, now)
	if err != nil {
		t.Fatalf("Prepare() = %v", err)
	}
	if p.Digest() != sha256.Sum256(entity) {
		t.Errorf("Digest() is not the entity's SHA-256")
	}
	for _, reader := range []*Secret{alice, secret(t, "bob"), s} {
		var b bytes.Buffer
		if err := p.Encrypt(&b, []*Certificate{reader.Certificate()}, now); err != nil {
			t.Fatalf("Encrypt(%v) = %v", reader, err)
		}
		got, j, err := open(b.Bytes(), Ring{Secrets: []*Secret{reader}, Known: known("team", s.Certificate())})
		if err != nil || got != string(entity) {
			t.Fatalf("Open(%v) = %d bytes, %v, %v, want %d", reader, len(got), j, err, len(entity))
		}
		if j.Encryption != EncryptedCurrent || j.Signature != SignatureValidKnown || j.Integrity != IntegrityWhole || j.SignerLabel != "team" || len(j.Notes) != 0 {
			t.Errorf("Open(%v) judged %+v", reader, j)
		}
		if j.SignerFingerprint != s.Certificate().Fingerprint() || !j.SignedAt.Equal(now) {
			t.Errorf("Open(%v): signed by %s at %v", reader, j.SignerFingerprint, j.SignedAt)
		}
	}
}

func TestOpenNothingBeforeWhole(t *testing.T) { // trap 2, threats 10, 11
	s := team(t)
	p, err := PrepareUnsigned(bytes.Repeat([]byte("secret "), 40000))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Encrypt(&b, []*Certificate{s.Certificate()}, now); err != nil {
		t.Fatal(err)
	}
	bin := Inspect(b.Bytes())
	if bin.Shape != ShapeMessage {
		t.Fatalf("Inspect() = %s", bin.Shape)
	}
	raw, err := io.ReadAll(mustDearmor(t, b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(raw) - 1, len(raw) - 30, len(raw) / 2, 400} {
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		got, _, err := open(bad, Ring{Secrets: []*Secret{s}})
		if got != "" || err == nil {
			t.Errorf("Open(bit %d flipped) = %d bytes, %v, want nothing and an error", at, len(got), err)
		}
		got, _, err = open(raw[:at], Ring{Secrets: []*Secret{s}})
		if got != "" || !errors.Is(err, Damaged) {
			t.Errorf("Open(cut at %d) = %d bytes, %v, want nothing and damaged", at, len(got), err)
		}
	}
}

func mustDearmor(t testing.TB, b []byte) io.Reader {
	t.Helper()
	r, _, err := dearmor(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
