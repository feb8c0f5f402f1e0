package mail

import (
	"bytes"
	"flag"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"encoding/base64"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write golden files")

var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

// samplePatch has what breaks patches on their way: a blank context line, trailing blanks, a line
// that begins with "From ", 8 bit, a lone CR, no newline at its end.
const samplePatch = "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n" +
	"From: Ada <ada@team.example>\nDate: Tue, 3 Mar 2026 12:00:00 +0000\nSubject: [PATCH] Fix the lantern\n\n" +
	"From now on it is lit.\n---\n lantern.txt | 4 ++--\n 1 file changed, 2 insertions(+), 2 deletions(-)\n\n" +
	"diff --git a/lantern.txt b/lantern.txt\n--- a/lantern.txt\n+++ b/lantern.txt\n@@ -1,5 +1,5 @@\n" +
	" one\n \n-two\n+zwei, \xc3\xb6l  \n three\n-four\n+vier\n-- \n2.39.5\n"

func sampleFrozen() FrozenMessage {
	return FrozenMessage{
		From:    "Lantern Security <security@team.example>",
		Subject: "[embargoed] Lantern security release — CVE-2026-0001",
		Text:    "Audience: distributors\nRelease: Lantern 4.2.1\nEmbargo ends: 2026-03-10 15:00 UTC\nTLP:AMBER\n\nFrom here on, öffentlich only after that.\nTrailing blank: \n" + strings.Repeat("long ", 250) + "end\n",
		Attachments: []Part{
			{Name: "0001-fix-the-lantern.patch", Type: "text/x-diff", Bytes: []byte(samplePatch), Description: "for series 4.2"},
		},
		Notice: []byte(`{"release":"lantern 4.2.1"}` + "\n"),
	}
}

func sampleOuter() Outer {
	return Outer{
		From: "Lantern Security <security@team.example>", To: "dist@one.example",
		ReplyTo: "security+k7qdk7qdk7qdk7qd@team.example",
		Date:    noon, MessageID: "<0001@team.example>",
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("%s (-got +want):\n%s", name, diff)
	}
}

func TestFreezeGolden(t *testing.T) {
	frozen, err := Freeze(sampleFrozen())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "frozen.eml", frozen)
	if err := checkSignable(frozen); err != nil {
		t.Errorf("checkSignable(Freeze) = %v, want nil", err)
	}
	again, _ := Freeze(sampleFrozen())
	if !bytes.Equal(frozen, again) {
		t.Error("Freeze of the same message gave other bytes")
	}
	head, _ := splitEntity(frozen)
	for _, forbidden := range []string{"\nTo:", "\nDate:", "\nMessage-ID:", "http"} {
		if bytes.Contains(bytes.ToLower(head), []byte(strings.ToLower(forbidden))) {
			t.Errorf("frozen header holds %q:\n%s", forbidden, head)
		}
	}
}

// TestFreezeReadByStandardLibrary reads the frozen bytes with another MIME reader than ours.
func TestFreezeReadByStandardLibrary(t *testing.T) {
	m := sampleFrozen()
	frozen, err := Freeze(m)
	if err != nil {
		t.Fatal(err)
	}
	parts := stdlibParts(t, frozen)
	if len(parts) != 3 {
		t.Fatalf("parts = %d, want text, patch and notice", len(parts))
	}
	if got := strings.ReplaceAll(string(parts[0]), "\r\n", "\n"); got != m.Text {
		t.Errorf("text = %q, want %q", got, m.Text)
	}
	if !bytes.Equal(parts[1], m.Attachments[0].Bytes) {
		t.Errorf("patch = %q, want the very bytes", parts[1])
	}
	if !bytes.Equal(parts[2], m.Notice) {
		t.Errorf("notice = %q, want %q", parts[2], m.Notice)
	}
}

func stdlibParts(t testing.TB, raw []byte) [][]byte {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextPart() // decodes quoted-printable
		if err != nil {
			return parts
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(p); err != nil {
			t.Fatal(err)
		}
		body := b.Bytes()
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			if body, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(b.String(), "\r\n", "")); err != nil {
				t.Fatal(err)
			}
		}
		parts = append(parts, body)
	}
}

func TestFreezeKeepsAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.OneOf(rapid.StringMatching(`[ -~\t]{0,200}`), rapid.StringMatching(`(From |\.|-- |=_)[a-zäöü€𝄞 ]{0,90}[ \t]?`))
		m := FrozenMessage{From: "a@b.example", Subject: "s", Text: strings.Join(rapid.SliceOfN(line, 1, 8).Draw(t, "lines"), "\n") + "\n"}
		m.Attachments = []Part{{Name: "p.patch", Type: "text/x-diff", Bytes: rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "patch")}}
		frozen, err := Freeze(m)
		if err != nil {
			t.Fatalf("Freeze: %v", err)
		}
		if err := checkSignable(frozen); err != nil {
			t.Fatalf("Freeze gave what cannot be signed: %v\n%s", err, frozen)
		}
		if bytes.Contains(frozen, []byte("\nFrom ")) {
			t.Fatal("a line begins with From")
		}
		_, body := splitEntity(frozen)
		parts, closed, _ := splitMultipart(body, boundaryOf(frozen), 10)
		if len(parts) != 2 || !closed {
			t.Fatalf("parts = %d, closed %v", len(parts), closed)
		}
		if got := strings.ReplaceAll(string(bodyOf(parts[0])), "\r\n", "\n"); got != m.Text && strings.TrimSuffix(m.Text, "\n") != got {
			t.Fatalf("text = %q, want %q", got, m.Text)
		}
		if !bytes.Equal(bodyOf(parts[1]), m.Attachments[0].Bytes) {
			t.Fatal("patch changed")
		}
	})
}

func boundaryOf(raw []byte) string {
	head, _ := splitEntity(raw)
	_, params := contentType(parseHeader(head).first("content-type"), "")
	return params["boundary"]
}

func TestFreezeRefuses(t *testing.T) {
	for name, change := range map[string]func(*FrozenMessage){
		"subject with CRLF":      func(m *FrozenMessage) { m.Subject = "a\r\nBcc: x@y.example" },
		"subject with LF":        func(m *FrozenMessage) { m.Subject = "a\nb" },
		"subject with NUL":       func(m *FrozenMessage) { m.Subject = "a\x00b" },
		"no subject":             func(m *FrozenMessage) { m.Subject = "" },
		"from with CRLF":         func(m *FrozenMessage) { m.From = "a@b.example\r\nBcc: c@d.example" },
		"two from":               func(m *FrozenMessage) { m.From = "a@b.example, c@d.example" },
		"attachment with a path": func(m *FrozenMessage) { m.Attachments[0].Name = "../x" },
		"attachment twice":       func(m *FrozenMessage) { m.Attachments = append(m.Attachments, m.Attachments[0]) },
		"attachment notice.json": func(m *FrozenMessage) { m.Attachments[0].Name = "Notice.json" },
		"type with parameter":    func(m *FrozenMessage) { m.Attachments[0].Type = "text/plain; x=y" },
		"type multipart":         func(m *FrozenMessage) { m.Attachments[0].Type = "multipart/mixed" },
		"description with LF":    func(m *FrozenMessage) { m.Attachments[0].Description = "a\nb" },
		"text with NUL":          func(m *FrozenMessage) { m.Text = "a\x00b" },
		"text not UTF-8":         func(m *FrozenMessage) { m.Text = "\xff" },
		"boundary with quote":    func(m *FrozenMessage) { m.Boundary = func() string { return `=_aaaaaaaaaaaaaaaa"; x="` } },
		"boundary in the text": func(m *FrozenMessage) {
			m.Text = "--=_aaaaaaaaaaaaaaaa\n"
			m.Boundary = func() string { return "=_aaaaaaaaaaaaaaaa" }
		},
	} {
		m := sampleFrozen()
		change(&m)
		if got, err := Freeze(m); err == nil {
			t.Errorf("%s: Freeze = nil error, want a refusal; got\n%s", name, got)
		}
	}
}

// bodyOf returns a raw part's body after transfer decoding.
func bodyOf(raw []byte) []byte {
	head, body := splitEntity(raw)
	decoded, _ := decodeTransfer(body, parseHeader(head).first("content-transfer-encoding"))
	return decoded
}
