package pgp

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestLimitsExactly has each limit of a message met exactly, and passed by one.
func TestLimitsExactly(t *testing.T) {
	ours, alice := team(t), secret(t, "alice")
	c := ours.Certificate()
	plain := literal("hello")
	other := pkesk(t, alice.Certificate(), true)
	mine := pkesk(t, c, false)
	keys := func(n int) []byte { return concat(bytes.Repeat(other, n-1), mine, seipd(t, plain)) }
	for _, x := range []struct {
		name  string
		limit int
		set   func(*Limits, int)
		msg   func(int) []byte
		want  Failure
	}{
		{"KeyPackets", DefaultLimits.KeyPackets, nil, keys, TooComplex},
		{"KeyPacketBytes", 2*len(other) + len(mine), func(l *Limits, n int) { l.KeyPacketBytes = int64(n) }, func(n int) []byte {
			if n == 2*len(other)+len(mine) {
				return keys(3)
			}
			return concat(skesk(t), keys(3))
		}, TooComplex},
		{"Packets", DefaultLimits.Packets, nil, func(n int) []byte { // key packet, container, literal, and an end twice
			return sealed(t, c, concat(bytes.Repeat(pkt(tagMarker, []byte("PGP")), n-5), plain))
		}, TooComplex},
		{"Signatures", DefaultLimits.Signatures, nil, func(n int) []byte {
			return sealed(t, c, concat(bytes.Repeat(issuerlessSignature(t, alice), n), plain))
		}, TooComplex},
		{"Depth", DefaultLimits.Depth, nil, func(n int) []byte {
			b := plain
			for range n {
				b = sealed(t, c, b)
			}
			return b
		}, TooComplex},
		{"Nesting", DefaultLimits.Nesting, nil, func(n int) []byte {
			b := plain
			for range n - 1 {
				b = deflated(t, b)
			}
			return sealed(t, c, b)
		}, TooComplex},
		{"Output", 1000, func(l *Limits, n int) { l.Output = int64(n) }, func(n int) []byte { return sealed(t, c, literal(strings.Repeat("x", n))) }, TooLarge},
		{"Unpacked", 1000, func(l *Limits, n int) { l.Unpacked = int64(n) }, func(n int) []byte {
			return sealed(t, c, deflated(t, literal(strings.Repeat("x", n-len(literal(""))))))
		}, TooLarge},
	} {
		t.Run(x.name, func(t *testing.T) {
			limits := DefaultLimits
			if x.set != nil {
				x.set(&limits, x.limit)
			}
			for n, want := range map[int]Failure{x.limit: "", x.limit + 1: x.want} {
				_, err := Open(context.Background(), bytes.NewReader(x.msg(n)), Ring{Secrets: []*Secret{ours}}, now, limits, nil)
				if want == "" && err != nil || want != "" && !errors.Is(err, want) {
					t.Errorf("%d where %d are allowed: %v, want %q", n, x.limit, err, want)
				}
			}
		})
	}
}
