package pgp

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestMoreLimitsExactly is about the limits that depend on the message's own
// size, on time, and on certificates.
func TestMoreLimitsExactly(t *testing.T) {
	ours := team(t)
	open := func(msg []byte, set func(*Limits)) error {
		limits := DefaultLimits
		set(&limits)
		_, err := Open(context.Background(), bytes.NewReader(msg), Ring{Secrets: []*Secret{ours}}, now, limits, nil)
		return err
	}
	msg := sealed(t, ours.Certificate(), literal("hello"))
	if err := open(msg, func(l *Limits) { l.Input = int64(len(msg)) }); err != nil {
		t.Errorf("Input met exactly: %v", err)
	}
	if err := open(msg, func(l *Limits) { l.Input = int64(len(msg)) - 1 }); !errors.Is(err, TooLarge) {
		t.Errorf("Input passed by one: %v, want %q", err, TooLarge)
	}

	inner := literal(strings.Repeat("x", 2*ratioFloor))
	dense := sealed(t, ours.Certificate(), deflated(t, inner))
	least := (int64(len(inner)) + int64(len(dense)) - 1) / int64(len(dense)) // read in one go
	if err := open(dense, func(l *Limits) { l.Ratio = least }); err != nil {
		t.Errorf("Ratio %d met: %v", least, err)
	}
	if err := open(dense, func(l *Limits) { l.Ratio = least - 1 }); !errors.Is(err, TooLarge) {
		t.Errorf("Ratio %d passed: %v, want %q", least-1, err, TooLarge)
	}
	small := sealed(t, ours.Certificate(), deflated(t, literal(strings.Repeat("x", ratioFloor/2))))
	if err := open(small, func(l *Limits) { l.Ratio = 1 }); err != nil {
		t.Errorf("Ratio below the floor: %v", err)
	}

	if err := open(msg, func(l *Limits) { l.Time = time.Hour }); err != nil {
		t.Errorf("Time not reached: %v", err)
	}
	if err := open(msg, func(l *Limits) { l.Time = -1 }); !errors.Is(err, TooComplex) {
		t.Errorf("Time passed: %v, want %q", err, TooComplex)
	}

	c := ours.Certificate().Binary()
	for n, ok := range map[int]bool{maxCertificateInput: true, maxCertificateInput + 1: false} {
		_, err := ParseCertificates(append(bytes.Clone(c), pkt(60, make([]byte, n-len(c)-len(pkt(60, nil))))...))
		if (err == nil) != ok {
			t.Errorf("ParseCertificates(%d bytes) = %v, want it taken %v", n, err, ok)
		}
	}
	for n, ok := range map[int]bool{maxCertificates: true, maxCertificates + 1: false} {
		_, err := ParseCertificates(bytes.Repeat(c, n))
		if (err == nil) != ok {
			t.Errorf("ParseCertificates(%d certificates) = %v, want it taken %v", n, err, ok)
		}
	}
}

// TestDear: what an S2K asks for is known before it is tried.
func TestDear(t *testing.T) {
	argon := func(version byte, passes, lanes, exponent byte) []byte {
		s2k := append(append([]byte{4}, make([]byte, 16)...), passes, lanes, exponent)
		head := map[byte][]byte{4: {4, 9}, 5: {5, 9, 2}, 6: {6, 30, 9, 2, 20}}[version]
		return pkt(tagSKESK, append(append(head, s2k...), make([]byte, 32)...))
	}
	for _, v := range []byte{4, 5, 6} {
		for _, x := range []struct {
			passes, lanes, exponent byte
			want                    bool
		}{{1, 1, 10, false}, {maxArgonPasses, maxArgonLanes, 16, false}, {maxArgonPasses + 1, 1, 10, true}, {1, maxArgonLanes + 1, 10, true}, {1, 1, 17, true}, {1, 1, 255, true}} {
			if got := dear(argon(v, x.passes, x.lanes, x.exponent)[:phraseHead]); got != x.want {
				t.Errorf("version %d, dear(%d passes, %d lanes, 2^%d KiB) = %v, want %v", v, x.passes, x.lanes, x.exponent, got, x.want)
			}
		}
	}
	if !dear(nil) || !dear(pkt(tagSKESK, []byte{4, 9})) || !dear(pkt(tagSKESK, []byte{4, 9, 101})) || dear(pkt(tagSKESK, append([]byte{4, 9, 3, 8}, make([]byte, 9)...))) {
		t.Error("dear: cut off or unknown must be dear, iterated must not")
	}
}

// TestPassphrases: the right one of several is found, whichever it is.
func TestPassphrases(t *testing.T) {
	msg := func(n int, at int) []byte {
		var b [][]byte
		for i := range n {
			if i == at {
				b = append(b, skesk(t))
				continue
			}
			b = append(b, pkt(tagSKESK, append([]byte{4, 9, 1, 8, 1, 2, 3, 4, 5, 6, 7, byte(i)}, make([]byte, 33)...)))
		}
		return concat(append(b, seipd(t, literal("hello")))...)
	}
	for at, want := range []Failure{"", "", "", "", DearPassphrase} {
		var out bytes.Buffer
		j, err := Open(context.Background(), bytes.NewReader(msg(5, at)), Ring{Passphrase: []byte("pass")}, now, DefaultLimits, &out)
		if want == "" && (err != nil || out.String() != "hello" && !strings.Contains(out.String(), "hello") || j.Encryption != EncryptedPhrase) || want != "" && !errors.Is(err, want) {
			t.Errorf("the passphrase at %d of 5: %v, %v, %q; want %q", at, j, err, out.String(), want)
		}
	}
}
