package pgp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
)

// Armor types we write (RFC 9580 §6.2).
const (
	armorMessage    = "PGP MESSAGE"
	armorPublicKey  = "PGP PUBLIC KEY BLOCK"
	armorPrivateKey = "PGP PRIVATE KEY BLOCK"
	armorSignature  = "PGP SIGNATURE"
	armorSigned     = "PGP SIGNED MESSAGE"
)

const (
	armorLine  = 48              // bytes in one line of 64 characters
	armorChunk = armorLine * 128 // bytes encoded in one go

	crc24Init = 0xB704CE << 8
	crc24Poly = 0x864CFB << 8
)

// crc24Table is CRC-24 (RFC 9580 §6.1) kept in the upper bits of a word, eight
// bytes at a time. The checksum is optional in RFC 9580, but GnuPG 2.2 ends
// with status 2 where it is missing and the data ends on a line's end.
var crc24Table = func() (t [8][256]uint32) {
	for i := range t[0] {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ crc24Poly
			} else {
				c <<= 1
			}
		}
		t[0][i] = c
	}
	for i := range t[0] {
		for k := 1; k < len(t); k++ {
			t[k][i] = t[k-1][i]<<8 ^ t[0][t[k-1][i]>>24]
		}
	}
	return t
}()

func crc24(c uint32, p []byte) uint32 {
	t := &crc24Table
	for len(p) >= 8 {
		a := c ^ binary.BigEndian.Uint32(p)
		b := binary.BigEndian.Uint32(p[4:])
		c = t[7][a>>24] ^ t[6][a>>16&0xff] ^ t[5][a>>8&0xff] ^ t[4][a&0xff] ^
			t[3][b>>24] ^ t[2][b>>16&0xff] ^ t[1][b>>8&0xff] ^ t[0][b&0xff]
		p = p[8:]
	}
	for _, x := range p {
		c = c<<8 ^ t[0][byte(c>>24)^x]
	}
	return c
}

// armorWriter writes armor with its checksum. Close ends the armor and leaves
// the writer below open.
type armorWriter struct {
	w    io.Writer
	kind string
	crc  uint32
	n    int
	in   [armorChunk]byte
	out  [armorChunk / armorLine * 65]byte
}

func newArmorWriter(w io.Writer, kind string) (*armorWriter, error) {
	if _, err := io.WriteString(w, "-----BEGIN "+kind+"-----\n\n"); err != nil {
		return nil, err
	}
	return &armorWriter{w: w, kind: kind, crc: crc24Init}, nil
}

func (a *armorWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if a.n == 0 && len(p) >= armorChunk {
			if err := a.encode(p[:armorChunk]); err != nil {
				return 0, err
			}
			p = p[armorChunk:]
			continue
		}
		k := copy(a.in[a.n:], p)
		a.n += k
		p = p[k:]
		if a.n == armorChunk {
			a.n = 0
			if err := a.encode(a.in[:]); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// encode writes p, at most armorChunk bytes, as whole lines.
func (a *armorWriter) encode(p []byte) error {
	a.crc = crc24(a.crc, p)
	n := 0
	for len(p) > 0 {
		k := min(armorLine, len(p))
		base64.StdEncoding.Encode(a.out[n:], p[:k])
		n += base64.StdEncoding.EncodedLen(k)
		a.out[n] = '\n'
		n++
		p = p[k:]
	}
	_, err := a.w.Write(a.out[:n])
	return err
}

func (a *armorWriter) Close() error {
	if err := a.encode(a.in[:a.n]); err != nil {
		return err
	}
	sum := []byte{byte(a.crc >> 24), byte(a.crc >> 16), byte(a.crc >> 8)}
	_, err := io.WriteString(a.w, "="+base64.StdEncoding.EncodeToString(sum)+"\n-----END "+a.kind+"-----\n")
	return err
}

// armored returns body as armor of the kind.
func armored(kind string, body []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(body)*4/3 + len(body)/40 + 128)
	w, _ := newArmorWriter(&b, kind) // a bytes.Buffer does not fail
	_, _ = w.Write(body)
	_ = w.Close()
	return b.Bytes()
}
