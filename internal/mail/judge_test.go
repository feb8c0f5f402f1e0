package mail

import (
	"context"
	"testing"

	"postern/internal/pgp"
)

// TestJudge: what a key that came inside says is what reading again with it
// would say, or it has to be read again.
func TestJudge(t *testing.T) {
	c := newCast(t)
	file := "Content-Type: text/plain\r\n\r\nwords\r\n"
	sealed := func(signer *pgp.Secret, inner string) string {
		return "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=e\r\n\r\n--e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n" +
			"--e\r\nContent-Type: application/octet-stream\r\n\r\n" + c.seal(t, inner, c.team, signer) + "\r\n--e--\r\n"
	}
	known := func(s *pgp.Secret) func(uint64) []pgp.Known {
		return func(uint64) []pgp.Known { return []pgp.Known{{Certificate: s.Certificate()}} }
	}
	for _, x := range []struct {
		name, raw string
		want      bool // judged without reading again
	}{
		{"encrypted and signed", sealed(c.alice, file), true},
		{"encrypted and signed, two parts", sealed(c.alice, mixed("multipart/mixed", "m", file, file)), true},
		{"beside a text in clear", mixed("multipart/mixed", "m", file, sealed(c.alice, file)), true},
		{"encrypted alone", sealed(nil, file), true},
		{"signed alone", signedMIME(c, t, file, c.alice), false},
		{"signed inside encrypted", sealed(nil, signedMIME(c, t, file, c.alice)), false},
		{"signed inside signed", sealed(c.alice, signedMIME(c, t, file, c.alice)), false},
	} {
		t.Run(x.name, func(t *testing.T) {
			ring := c.ring
			ring.Known = nil
			for name, s := range map[string]*pgp.Secret{"her key": c.alice, "another": c.team} {
				read := func(k func(uint64) []pgp.Known) *Message {
					ring.Known = k
					m, err := Read(context.Background(), []byte(outerHeader+x.raw), ring, noon, DefaultLimits)
					if err != nil {
						t.Fatal(err)
					}
					return m
				}
				got, before, want := read(nil), read(nil), read(known(s))
				ok := got.Judge(known(s))
				if ok != x.want {
					t.Fatalf("%s: Judge = %v, want %v", name, ok, x.want)
				}
				if !ok {
					want = before
				}
				if g, w := short(got), short(want); g != w {
					t.Errorf("%s: judged %s\nwant %s", name, g, w)
				}
			}
		})
	}
}
