package pgp

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// seeds are whole inputs of every kind; mutation does the rest.
func seeds(f *testing.F, s *Secret) {
	raw := sealed(f, s.Certificate(), deflated(f, literal("hello")))
	signed, err := ClearSign([]byte("words\n- dash\n"), s, now)
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{
		raw, armored(armorMessage, raw), signed, testdata(f, "keys/alice.asc"), testdata(f, "keys/alice.sec.asc"),
		concat(skesk(f), raw), sealed(f, s.Certificate(), raw), signedLiteral(f, s, "hello", "hello", now), literal("x"),
		[]byte("> -----BEGIN PGP MESSAGE-----\n> \n> wcB=\n> =abcd\n"), []byte("–––––BEGIN PGP MESSAGE–––––\nAAAA"),
		[]byte("&#45;&#45;BEGIN PGP MESSAGE&#45;&#45;"), nil, {0xc1, 0xff, 0xff, 0xff, 0xff, 0xff}, {0xd2, 0xfe, 1},
	} {
		f.Add(b)
	}
}

func FuzzInspect(f *testing.F) {
	s := secretF(f)
	seeds(f, s)
	f.Fuzz(func(t *testing.T, text []byte) {
		in := Inspect(text)
		if in.Shape == ShapeMessage {
			again := Inspect(in.Block)
			if again.Shape != ShapeMessage || !bytes.Equal(again.Block, in.Block) || len(again.Repairs) > 0 {
				t.Errorf("Inspect(its own block) = %s, %v", again.Shape, again.Repairs)
			}
		}
		if in.Shape == ShapePrivateKey && (in.Block != nil || in.Before != nil || in.After != nil) {
			t.Error("Inspect() gives a private key away")
		}
		_, _, _ = OpenClearSigned(text, nil, now)
		_, _ = ParseCertificates(text)
	})
}

func FuzzAddressed(f *testing.F) {
	s := secretF(f)
	seeds(f, s)
	ids := s.Certificate().KeyIDs()
	f.Fuzz(func(t *testing.T, msg []byte) {
		a := Addressed(bytes.NewReader(msg), ids)
		if (a.To == ToUs) != (len(a.Ours) > 0) || len(a.Ours)+len(a.Others) > DefaultLimits.KeyPackets {
			t.Errorf("Addressed() = %+v", a)
		}
	})
}

func FuzzOpen(f *testing.F) {
	s := secretF(f)
	seeds(f, s)
	ring := Ring{Secrets: []*Secret{s}, Known: known("team", s.Certificate())}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var out bytes.Buffer
		j, err := Open(context.Background(), bytes.NewReader(msg), ring, now, DefaultLimits, &out)
		switch {
		case err != nil && out.Len() > 0:
			t.Errorf("Open() = %v after %d bytes of plaintext", err, out.Len())
		case err == nil && int64(out.Len()) != j.Size:
			t.Errorf("Open() wrote %d bytes, judged %d", out.Len(), j.Size)
		}
		_, _ = VerifyDetached(bytes.NewReader(msg), msg, ring.Known, now)
		_, _ = CheckReleaserSignature(msg, msg, []*Certificate{s.Certificate()}, now, now)
	})
}

// secretF is a fixed key, so that a saved input stays readable.
func secretF(f *testing.F) *Secret { return secret(f, "alice") }

var benchEntity = func() []byte { // 20 KiB of text and 200 KiB of patch, as compressible as such are
	var b bytes.Buffer
	x := uint32(1)
	for b.Len() < 220<<10 {
		x = x*1664525 + 1013904223
		b.WriteString([]string{"return nil, err\r\n", "if ", "func ", "static int ", "+\t", "-\t", "for (i = 0; i < n; i++) {\r\n", "buffer", "length", "\r\n"}[x>>28%10])
		b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[x>>20%36])
	}
	return b.Bytes()
}()

func BenchmarkEncrypt(b *testing.B) {
	s := team(b)
	p, err := Prepare(benchEntity, s, now)
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]string{"cv25519": "alice", "rsa4096": "carol"} {
		c := cert(b, key)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(benchEntity)))
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Encrypt(io.Discard, []*Certificate{c}, now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/bare", func(b *testing.B) { // key packet and body alone: no armor, no choosing
			k, err := c.encryptionKey(now)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(benchEntity)))
			for b.Loop() {
				if err := bareEncrypt(io.Discard, k.PublicKey, p.zip); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAddressed(b *testing.B) {
	s := team(b)
	msg := armored(armorMessage, sealed(b, s.Certificate(), literal(string(benchEntity))))
	ids := s.Certificate().KeyIDs()
	b.ReportAllocs()
	for b.Loop() {
		if a := Addressed(bytes.NewReader(msg), ids); a.To != ToUs {
			b.Fatal(a)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	s := team(b)
	msg := armored(armorMessage, sealed(b, s.Certificate(), literal(string(benchEntity))))
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if in := Inspect(msg); in.Shape != ShapeMessage {
			b.Fatal(in.Shape)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := team(b)
	msg := sealed(b, s.Certificate(), signedLiteral(b, s, string(benchEntity), string(benchEntity), now))
	ring := Ring{Secrets: []*Secret{s}, Known: known("team", s.Certificate())}
	b.SetBytes(int64(len(benchEntity)))
	for b.Loop() {
		if _, err := Open(context.Background(), bytes.NewReader(msg), ring, now, DefaultLimits, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
