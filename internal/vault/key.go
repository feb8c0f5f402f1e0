package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16

	// Overhead is what AES-256-GCM adds to a padded plaintext: nonce and tag.
	Overhead = nonceSize + tagSize

	format = "postern/v1"
)

// ErrOpen says that sealed bytes did not open: another key, another place,
// altered, or cut off. Which of these it was cannot be told.
var ErrOpen = errors.New("sealed bytes do not open")

// InstanceID names one installation: random, hex. It is bound into everything
// sealed, so that rows of one installation do not open in another.
type InstanceID string

// NewInstanceID makes the name of a new installation.
func NewInstanceID() InstanceID { return InstanceID(NewID()) }

// NewID returns 128 random bits in hex. Row ids are made with it before
// sealing, because the id is part of what is bound.
func NewID() string {
	return hex.EncodeToString(random(16))
}

// random returns n bytes of crypto/rand, which never fails since Go 1.24.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// Key is a 256-bit secret. Its zero value is no key: see [Key.IsZero]. fmt,
// slog and encoders write "[key]". fmt cannot be stopped from printing the
// bytes of a Key in an unexported field of another struct: such structs need
// a Format method of their own.
type Key struct{ b [keySize]byte }

// NewKey returns a random key.
func NewKey() Key { return Key{[keySize]byte(random(keySize))} }

// KeyFromBytes returns the key of exactly 32 bytes, which are copied.
func KeyFromBytes(b []byte) (Key, error) {
	if len(b) != keySize {
		return Key{}, fmt.Errorf("a key has %d bytes, not %d", keySize, len(b))
	}
	return Key{[keySize]byte(b)}, nil
}

// IsZero reports whether k is the zero value, which is never a real key.
func (k Key) IsZero() bool { return k == Key{} }

const redactedKey = "[key]"

func (k Key) String() string               { return redactedKey }
func (k Key) GoString() string             { return redactedKey }
func (k Key) LogValue() slog.Value         { return slog.StringValue(redactedKey) }
func (k Key) MarshalText() ([]byte, error) { return []byte(redactedKey), nil }
func (k Key) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redactedKey) }

// AAD is the place a value is sealed for. Every field is bound.
type AAD struct {
	Instance InstanceID
	Table    string
	Column   string
	Row      string
	Owner    string // the case or release whose key it is; empty for the desk's
	Version  int    // of the key
}

func (a AAD) encode(purpose string) []byte {
	return encode(purpose, []byte(a.Instance), []byte(a.Table), []byte(a.Column),
		[]byte(a.Row), []byte(a.Owner), number(a.Version))
}

// encode writes "postern/v1", the purpose and the parts, the latter each after
// its length as four bytes, big-endian. No two different lists give the same
// bytes.
func encode(purpose string, parts ...[]byte) []byte {
	size := len(format) + 4 + len(purpose)
	for _, p := range parts {
		size += 4 + len(p)
	}
	out := append(make([]byte, 0, size), format...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(purpose)))
	out = append(out, purpose...)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

func number(n int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n))
}

// Seal pads the plaintext to a bucket and seals it for the place aad.
func (k Key) Seal(aad AAD, plaintext []byte) []byte {
	return k.sealPadded(aad.encode("value"), plaintext, leastValue)
}

// Open returns what was sealed for the place aad, or [ErrOpen].
func (k Key) Open(aad AAD, sealed []byte) ([]byte, error) {
	padded, err := k.open(aad.encode("value"), sealed)
	if err != nil {
		return nil, err
	}
	return unpad(padded)
}

// Wrap seals another key for the place aad; the result has always 60 bytes.
// A wrapped key does not open as a value, nor the other way round.
func (k Key) Wrap(aad AAD, inner Key) []byte {
	return k.seal(aad.encode("key"), inner.b[:])
}

// Unwrap returns the key that was wrapped for the place aad, or [ErrOpen].
func (k Key) Unwrap(aad AAD, wrapped []byte) (Key, error) {
	b, err := k.open(aad.encode("key"), wrapped)
	if err != nil {
		return Key{}, err
	}
	defer clear(b)
	inner, err := KeyFromBytes(b)
	if err != nil {
		return Key{}, ErrOpen
	}
	return inner, nil
}

// Tag authenticates the parts under a label: HMAC-SHA256, 32 bytes. Compare
// with [EqualTags].
func (k Key) Tag(label string, parts ...[]byte) []byte {
	return k.mac("tag", label, parts)
}

// EqualTags compares in constant time.
func EqualTags(a, b []byte) bool { return hmac.Equal(a, b) }

// Derive returns the key that belongs to the label and the context. It tells
// nothing about k, and differs from every [Key.Tag].
func (k Key) Derive(label string, context ...[]byte) Key {
	return Key{[keySize]byte(k.mac("derive", label, context))}
}

func (k Key) mac(purpose, label string, parts [][]byte) []byte {
	h := hmac.New(sha256.New, k.b[:])
	h.Write(encode(purpose, append([][]byte{[]byte(label)}, parts...)...))
	return h.Sum(nil)
}

func (k Key) gcm() cipher.AEAD {
	block, err := aes.NewCipher(k.b[:])
	if err != nil {
		panic("vault: AES refused a 32-byte key: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("vault: GCM refused AES: " + err.Error())
	}
	return aead
}

// seal returns a random nonce, the ciphertext and its tag.
func (k Key) seal(aad, plaintext []byte) []byte {
	out := make([]byte, nonceSize, nonceSize+len(plaintext)+tagSize)
	_, _ = rand.Read(out)
	return k.gcm().Seal(out, out, plaintext, aad)
}

// sealPadded pads the plaintext to a bucket and seals that: with one
// allocation, since the largest values are all that the gate allocates.
func (k Key) sealPadded(aad, plaintext []byte, least int) []byte {
	size := Bucket(len(plaintext)+1, least)
	out := make([]byte, nonceSize+size, nonceSize+size+tagSize)
	_, _ = rand.Read(out[:nonceSize])
	padded := out[nonceSize:]
	copy(padded, plaintext)
	padded[len(plaintext)] = 0x80 // as pad does
	return out[:nonceSize+len(k.gcm().Seal(padded[:0], out[:nonceSize], padded, aad))]
}

func (k Key) open(aad, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	out, err := k.gcm().Open(nil, sealed[:nonceSize], sealed[nonceSize:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}
