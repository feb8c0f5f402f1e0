package vault

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// The HPKE suite (RFC 9180; the KEM from draft-ietf-hpke-pq, called X-Wing).
func kem() hpke.KEM   { return hpke.MLKEM768X25519() }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// Public is the vault pair's public half. It is not secret; that it is the
// right one matters, so a gate that runs apart pins its [Public.Fingerprint].
type Public struct {
	key   hpke.PublicKey
	bytes []byte
	id    string // made once: every arrival names it
}

// ParsePublic reads what [Public.Bytes] wrote.
func ParsePublic(b []byte) (*Public, error) {
	key, err := kem().NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("read the vault's public key: %w", err)
	}
	p := &Public{key: key, bytes: key.Bytes()}
	p.id = p.Fingerprint()[:32]
	return p, nil
}

// Bytes returns the serialized key, 1216 bytes. The caller owns them.
func (p *Public) Bytes() []byte { return append([]byte(nil), p.bytes...) }

// ID is the first half of the fingerprint; it names the key in rows.
func (p *Public) ID() string { return p.id }

// Fingerprint is a SHA-256 over the key, 64 hex digits.
func (p *Public) Fingerprint() string {
	sum := sha256.Sum256(encode("public key", p.bytes))
	return hex.EncodeToString(sum[:])
}

// Seal seals a value to the vault pair: no secret is needed for it, and only
// an unlocked vault opens it ([Vault.OpenSealed]). info says what and where it
// is and must be the same on opening. Anybody can seal: what opens was not
// necessarily written by us.
func (p *Public) Seal(info string, plaintext []byte) ([]byte, error) {
	return sealTo(p.key, encode("sealed", []byte(info)), pad(plaintext, leastValue))
}

func sealTo(key hpke.PublicKey, info, plaintext []byte) ([]byte, error) {
	sealed, err := hpke.Seal(key, kdf(), aead(), info, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal to a public key: %w", err)
	}
	return sealed, nil
}

func openWith(key hpke.PrivateKey, info, sealed []byte) ([]byte, error) {
	plaintext, err := hpke.Open(key, kdf(), aead(), info, sealed)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// MaxArrivalChunk is the size of every chunk of an arrival's body except the
// last, before sealing.
const MaxArrivalChunk = 1 << 20

// MaxSealedArrivalChunk is the most bytes a sealed chunk of an arrival has.
// It differs from [MaxArrivalChunk] by the padding of a full last chunk.
const MaxSealedArrivalChunk = MaxArrivalChunk + MaxArrivalChunk/16 + Overhead

// ArrivalMeta is what is plain of an arrival. All of it is bound: an arrival
// whose row was altered does not open. Received counts to the microsecond, as
// PostgreSQL keeps it, in any zone.
type ArrivalMeta struct {
	Instance InstanceID
	ID       string
	Kind     string
	Channel  string
	VaultKey string // [Public.ID] of the key it was sealed to
	Received time.Time
}

func (m ArrivalMeta) encode(purpose string, more ...[]byte) []byte {
	parts := [][]byte{[]byte(m.Instance), []byte(m.ID), []byte(m.Kind), []byte(m.Channel),
		[]byte(m.VaultKey), number(int(m.Received.UnixMicro()))}
	return encode(purpose, append(parts, more...)...)
}

// ArrivalSealer seals one arrival. It may be used by one goroutine at a time.
type ArrivalSealer struct {
	meta          ArrivalMeta
	key           Key
	encapsulation []byte
}

// Format keeps the key out of fmt's output.
func (s *ArrivalSealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[arrival sealer]") }

// SealArrival makes the key of one arrival. meta.VaultKey must be p's id.
func (p *Public) SealArrival(meta ArrivalMeta) (*ArrivalSealer, error) {
	if meta.VaultKey != p.ID() {
		return nil, fmt.Errorf("seal arrival %s: it names vault key %q, this is %q", meta.ID, meta.VaultKey, p.ID())
	}
	key := NewKey()
	encapsulation, err := sealTo(p.key, meta.encode("arrival"), key.b[:])
	if err != nil {
		return nil, fmt.Errorf("seal arrival %s: %w", meta.ID, err)
	}
	return &ArrivalSealer{meta: meta, key: key, encapsulation: encapsulation}, nil
}

// Encapsulation returns the HPKE encapsulation and the arrival's key sealed
// with it, 1168 bytes. [Vault.OpenArrival] opens it.
func (s *ArrivalSealer) Encapsulation() []byte { return append([]byte(nil), s.encapsulation...) }

// Header seals the arrival's header, padded to a bucket of at least 1 KiB.
func (s *ArrivalSealer) Header(plaintext []byte) []byte {
	return s.key.sealPadded(s.meta.encode("arrival header"), plaintext, leastHeader)
}

// Chunk seals chunk n, from 0, of the body. Every chunk but the last has
// exactly [MaxArrivalChunk] bytes, or else its size tells; the last is padded
// to a bucket of at least 4 KiB and may be empty.
func (s *ArrivalSealer) Chunk(n int, final bool, plaintext []byte) []byte {
	if final {
		return s.key.sealPadded(chunkAAD(s.meta, n, final), plaintext, leastBody)
	}
	return s.key.seal(chunkAAD(s.meta, n, final), plaintext)
}

func chunkAAD(meta ArrivalMeta, n int, final bool) []byte {
	last := []byte{0}
	if final {
		last[0] = 1
	}
	return meta.encode("arrival chunk", number(n), last)
}

// OpenArrivalHeader opens the header with the key [Vault.OpenArrival] gave.
func OpenArrivalHeader(k Key, meta ArrivalMeta, sealed []byte) ([]byte, error) {
	padded, err := k.open(meta.encode("arrival header"), sealed)
	if err != nil {
		return nil, err
	}
	return unpad(padded)
}

// OpenArrivalChunk opens chunk n. final says whether the store holds no
// further chunk; if chunks are missing at the end, the last one there is does
// not open as final.
func OpenArrivalChunk(k Key, meta ArrivalMeta, n int, final bool, sealed []byte) ([]byte, error) {
	plaintext, err := k.open(chunkAAD(meta, n, final), sealed)
	if err != nil || !final {
		return plaintext, err
	}
	return unpad(plaintext)
}
