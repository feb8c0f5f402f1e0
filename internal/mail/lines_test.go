package mail

import (
	"context"
	"testing"

	"postern/internal/pgp"
)

// TestLineEndsOfFiles: a text sent as lines is saved with the line ends it had
// before it became mail, and anything sent as data byte for byte.
func TestLineEndsOfFiles(t *testing.T) {
	c := newCast(t)
	file := func(typ, encoding, content string) string {
		return "Content-Type: " + typ + "\r\nContent-Disposition: attachment; filename=\"poc.sh\"\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + content
	}
	const script, crlf = "#!/bin/sh\necho \r1\n", "#!/bin/sh\r\necho \r1\r\n"
	for _, x := range []struct{ name, part, want string }{
		{"7bit", file("text/x-sh", "7bit", crlf), script},
		{"8bit", file("text/plain; charset=utf-8", "8BIT", crlf), script},
		{"quoted-printable", file("text/x-sh", "quoted-printable", "#!/bin/sh\r\necho =0D1\r\n"), script},
		{"no encoding named", "Content-Type: text/x-sh; name=\"poc.sh\"\r\n\r\n" + crlf, script},
		{"base64", file("text/x-sh", "base64", "IyEvYmluL3NoDQplY2hvIA0xDQo="), crlf},
		{"binary", file("text/x-sh", "binary", crlf), crlf},
		{"no text", file("application/octet-stream", "7bit", crlf), crlf},
		{"a lone CR at the end", file("text/x-sh", "7bit", "x\r\r\n\r"), "x\r\n\r"},
	} {
		t.Run(x.name, func(t *testing.T) {
			for name, raw := range map[string]string{
				"plain":  outerHeader + mixed("multipart/mixed", "m", part("text/plain", "words\n"), x.part),
				"signed": outerHeader + signedMIME(c, t, mixed("multipart/mixed", "m", part("text/plain", "words\r\n"), x.part), c.alice),
			} {
				m, err := Read(context.Background(), []byte(raw), c.ring, noon, DefaultLimits)
				if err != nil {
					t.Fatal(err)
				}
				if name == "signed" && m.Protection.Signature != pgp.SignatureValidKnown {
					t.Errorf("the signature over it is %s, want valid", m.Protection.Signature)
				}
				got := ""
				for _, p := range m.Pieces {
					if p.Kind == KindAttachment {
						b, err := p.Content.Bytes()
						if err != nil {
							t.Fatal(err)
						}
						got = string(b)
					}
				}
				if got != x.want {
					t.Errorf("%s: the file holds %q, want %q", name, got, x.want)
				}
			}
		})
	}
}
