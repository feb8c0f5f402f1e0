package smtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

const message = "From: Team <team@lantern.example>\r\nTo: One <one@distro.example>\r\nSubject: [...]\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@lantern.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n.a dot begins this line\r\n..and two this\r\nEnd.\r\n"

func write(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func to(addr string) Envelope { return Envelope{From: "bounce+x@lantern.example", To: addr} }

func TestCheckAddress(t *testing.T) {
	good := []string{"a@b.example", "security+tag=x@distro.example", "jürgen@bücher.example", "o'neil@x", strings.Repeat("l", 64) + "@d.example", "x@" + strings.Repeat("a", 200) + ".example"}
	for _, addr := range good {
		if err := CheckAddress(addr); err != nil {
			t.Errorf("CheckAddress(%q) = %v, want nil", addr, err)
		}
	}
	bad := map[string]string{
		"":                              "empty",
		"a@b\r\nRCPT TO:<x@y>":          "line break",
		"a@b\nDATA":                     "line break",
		"a\r@b":                         "line break",
		"a\x00@b":                       "NUL",
		"a b@c":                         "U+0020",
		"a\t@b":                         "U+0009",
		"a\u2028@b":                     "U+2028",
		"a\u200b@b":                     "U+200B",
		"<a@b>":                         "'<'",
		`"a"@b`:                         `'"'`,
		"a@b,c@d":                       "','",
		"a@[127.0.0.1]":                 "'['",
		"a@b@c":                         "more than one @",
		"a":                             "name@domain",
		"@b":                            "name@domain",
		"a@":                            "name@domain",
		".a@b":                          "dot",
		"a@b..c":                        "dot",
		"a@b.":                          "dot",
		"\xff@b":                        "UTF-8",
		strings.Repeat("l", 65) + "@b":  "before @",
		"a@" + strings.Repeat("d", 300): "302 bytes",
		strings.Repeat("x", 1<<20) + "@b.example": "at most 254",
	}
	for addr, want := range bad {
		err := CheckAddress(addr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckAddress(%.40q) = %v, want an error with %q", addr, err, want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("CheckAddress(%.40q) repeats what was wrong: %q", addr, err)
		}
	}
}

func TestEnvelopeCheckSaysAll(t *testing.T) {
	err := Envelope{From: "a\n@b", To: "c", ID: "d e"}.Check()
	for _, want := range []string{"return path", "recipient", "envelope id"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want it to name the %s", err, want)
		}
	}
	if err := (Envelope{To: "a@b"}).Check(); err != nil {
		t.Errorf("Check with the null sender = %v, want nil", err)
	}
	if err := (Envelope{To: "a@b", ID: strings.Repeat("x", 101)}).Check(); err == nil {
		t.Errorf("Check with 101 bytes of id = nil, want an error")
	}
}

// An envelope that cannot be sent never reaches the wire, whoever sends.
func TestSendRefusesInjection(t *testing.T) {
	sink := startSink(t, SinkConfig{})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	box, err := NewOutbox(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Sender{relay, box} {
		for _, e := range []Envelope{
			{From: "a@b", To: "x@y>\r\nRCPT TO:<z@y"},
			{From: "a@b>\r\nRCPT TO:<z@y", To: "x@y"},
			{From: "a@b", To: "x@y", ID: "1\r\nX"},
		} {
			if out := s.Send(t.Context(), e, write(message), nil); out.State != Rejected || out.Text == "" {
				t.Errorf("%T.Send(%+v) = %+v, want rejected with a text", s, e, out)
			}
		}
		for _, body := range []string{"bare\nline", "bare\rreturn", "end\r", "a\r\r\n", "nul\x00", "", strings.Repeat("x", 999) + "\r\n"} {
			out := s.Send(t.Context(), to("x@y"), write(body), nil)
			if out.State != Canceled || !errors.Is(out.Err, errWire) {
				t.Errorf("%T.Send of body %.20q = %+v, want canceled", s, body, out)
			}
		}
	}
	if got := sink.Messages(); len(got) != 0 {
		t.Errorf("the sink took %d messages, want none", len(got))
	}
}

// The writer judges the same however the bytes are cut.
func TestStrictWriterCuts(t *testing.T) {
	for text, good := range map[string]bool{
		"a\r\nb\r\n":                       true,
		"a\rb":                             false,
		"a\n":                              false,
		"\n":                               false,
		"\r\n\r\n":                         true,
		"\r\r\n":                           false,
		strings.Repeat("x", 998) + "\r\ny": true,
		strings.Repeat("x", 999) + "\r\ny": false,
	} {
		for _, size := range []int{1, 2, 3, 7, 2000} {
			var out bytes.Buffer
			w := &strictWriter{w: &out}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					break
				}
				rest = rest[n:]
			}
			if err := w.end(); (err == nil) != good {
				t.Errorf("writing %.20q by %d: %v, want good = %v", text, size, err, good)
			}
			if good && out.String() != text {
				t.Errorf("writing %.20q by %d: came out as %.20q", text, size, out.String())
			}
		}
	}
}

// What is written comes out of a real server the same, whatever its dots and however it is cut.
func TestDots(t *testing.T) {
	sink := startSink(t, SinkConfig{})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	for _, text := range []string{
		"x", "x\r\n", ".", ".\r\n", "..\r\n", "\r\n.\r\n", "a\r\n.\r\n.\r\nb", "\r\n", "a\r\n\r\n", "a.\r\n.b.\r\n", "a\r\n.", ".\r\n.\r\n..\r\n...\r\n",
		strings.Repeat(".\r\n", 20_000), strings.Repeat(strings.Repeat(".", 998)+"\r\n", 40),
	} {
		for _, size := range []int{1, 2, 3, 5, 1 << 20} {
			if len(text) > 1000 && size < 5 {
				continue
			}
			sink.Reset()
			out := relay.Send(t.Context(), to("a@b"), func(w io.Writer) error {
				for rest := text; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(w, rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			}, agree)
			want := text
			if !strings.HasSuffix(want, "\r\n") { // the dot stands on a line of its own
				want += "\r\n"
			}
			if got := sink.Messages(); out.State != Sent || len(got) != 1 || string(got[0].Data) != want {
				t.Fatalf("Send of %.30q by %d = %+v; it came out as %d messages", text, size, out, len(got))
			}
		}
	}
}

func startSink(t testing.TB, c SinkConfig) *Sink {
	t.Helper()
	s, err := NewSink(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newRelay(t testing.TB, c RelayConfig) *Relay {
	t.Helper()
	r, err := NewRelay(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func agree(context.Context) error { return nil }
