package smtp

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os/exec"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

func keyPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signers(t testing.TB) []*DKIM {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one, err := NewDKIM("lantern.example", "rsa1", keyPEM(t, rsaKey(t, 2048)))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewDKIM("lantern.example", "ed1", keyPEM(t, ed))
	if err != nil {
		t.Fatal(err)
	}
	return []*DKIM{one, two}
}

// signedByRelay sends a message through a real server and returns what arrived, with the DNS records to verify it by.
func signedByRelay(t testing.TB) ([]byte, map[string]string) {
	t.Helper()
	keys := signers(t)
	sink := startSink(t, SinkConfig{})
	relay := newRelay(t, RelayConfig{URL: sink.URL(), DKIM: keys})
	if out := relay.Send(t.Context(), to("one@distro.example"), write(message), agree); out.State != Sent {
		t.Fatalf("Send = %+v", out)
	}
	got := sink.Messages()[0].Data
	if !bytes.HasSuffix(got, []byte(message)) {
		t.Fatalf("the message is not as it was, with signatures before it:\n%s", got)
	}
	records := map[string]string{}
	for _, k := range keys {
		name, content := k.Record()
		records[name] = content
	}
	return got, records
}

func verified(t *testing.T, message []byte, records map[string]string) []*dkim.Verification {
	t.Helper()
	vs, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return []string{records[name]}, nil },
	})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return vs
}

func TestDKIMVerifies(t *testing.T) {
	got, records := signedByRelay(t)
	vs := verified(t, got, records)
	if len(vs) != 2 {
		t.Fatalf("%d signatures, want 2", len(vs))
	}
	for _, v := range vs {
		if v.Err != nil || v.Domain != "lantern.example" {
			t.Errorf("signature of %s: %v", v.Domain, v.Err)
		}
	}
	field := strings.ReplaceAll(string(got[:bytes.Index(got, []byte("From: "))]), "\r\n ", "")
	for _, want := range []string{"c=relaxed/relaxed", "a=rsa-sha256", "a=ed25519-sha256"} {
		if !strings.Contains(field, want) {
			t.Errorf("no %q in %s", want, field)
		}
	}
	if strings.Contains(field, " l=") {
		t.Errorf("the signature covers only a part of the body: %s", field)
	}
	// Nothing can be changed or added afterwards.
	for name, change := range map[string]func(string) string{
		"body":           func(s string) string { return strings.Replace(s, "End.", "End!", 1) },
		"subject":        func(s string) string { return strings.Replace(s, "[...]", "Hello", 1) },
		"second From":    func(s string) string { return strings.Replace(s, "From: ", "From: x@evil.example\r\nFrom: ", 1) },
		"second Subject": func(s string) string { return strings.Replace(s, "Subject:", "Subject: now\r\nSubject:", 1) },
		"added Reply-To": func(s string) string {
			return strings.Replace(s, "Subject:", "Reply-To: x@evil.example\r\nSubject:", 1)
		},
		"added List-Id": func(s string) string {
			return strings.Replace(s, "Subject:", "List-Id: <x.evil.example>\r\nSubject:", 1)
		},
		"appended": func(s string) string { return s + "more\r\n" },
	} {
		for _, v := range verified(t, []byte(change(string(got))), records) {
			if v.Err == nil {
				t.Errorf("changed %s: the signature still verifies", name)
			}
		}
	}
}

// The library below dkimverify judges both signatures; the DNS answers come from the test, as no name server is asked.
func TestDKIMVerifiesElsewhere(t *testing.T) {
	const python = "/usr/bin/python3" // where python3-dkim is installed
	if exec.Command(python, "-c", "import dkim").Run() != nil {
		t.Skip("dkimverify not installed")
	}
	got, records := signedByRelay(t)
	dns, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import dkim, json, sys
records = json.loads(sys.argv[1])
def dns(name, timeout=5):
    return records[name.decode().rstrip('.')].encode()
d = dkim.DKIM(sys.stdin.buffer.read())
for i in (0, 1):
    print(d.verify(idx=i, dnsfunc=dns), d.domain.decode(), d.selector.decode())
`
	run := func(message []byte) string {
		cmd := exec.Command(python, "-c", script, string(dns))
		cmd.Stdin = bytes.NewReader(message)
		out, err := cmd.CombinedOutput()
		if err != nil { // dkimpy raises an error for a wrong body
			return string(out) + err.Error()
		}
		return string(out)
	}
	if out, want := run(got), "True lantern.example rsa1\nTrue lantern.example ed1\n"; out != want {
		t.Errorf("dkimpy says %q, want %q", out, want)
	}
	if out := run(bytes.Replace(got, []byte("End."), []byte("End!"), 1)); strings.Contains(out, "True") || !strings.Contains(out, "body hash mismatch") {
		t.Errorf("dkimpy accepts a changed body: %q", out)
	}
}

func TestDKIMRefusesKeys(t *testing.T) {
	good := keyPEM(t, rsaKey(t, 2048))
	for name, c := range map[string]struct {
		domain, selector string
		key              []byte
		want             string
	}{
		"short":     {"a.example", "s", keyPEM(t, rsaKey(t, 1024)), "1024 bits"},
		"not PEM":   {"a.example", "s", []byte("hello"), "not PEM"},
		"public":    {"a.example", "s", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "PUBLIC KEY"},
		"garbage":   {"a.example", "s", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "cannot be read"},
		"domain":    {"a.example; p=", "s", good, "not a domain"},
		"selector":  {"a.example", "", good, "not a domain"},
		"injection": {"a.example", "s\r\nX: y", good, "not a domain"},
	} {
		if _, err := NewDKIM(c.domain, c.selector, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: NewDKIM = %v, want %q", name, err, c.want)
		}
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey(t, 2048))})
	if _, err := NewDKIM("a.example", "s", pkcs1); err != nil {
		t.Errorf("NewDKIM with PKCS #1 = %v", err)
	}
	d := signers(t)[0]
	for _, bad := range []string{"From: a@b\r\nFrom: c@d\r\n\r\nx", "Subject: x\r\n\r\nx", "no header"} {
		if _, err := d.Sign([]byte(bad)); err == nil {
			t.Errorf("Sign(%q) = nil, want an error", bad)
		}
	}
}
