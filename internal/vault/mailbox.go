package vault

import (
	"crypto/hpke"
	"encoding/hex"
	"fmt"
	"io"
)

// Mailbox is what a code opens: a look-up id, and a key pair that items for
// its owner are sealed to. The server keeps id and public half; the private
// half exists only while a code is in hand.
type Mailbox struct {
	id      string
	private hpke.PrivateKey
}

// Format keeps the key out of fmt's output.
func (m *Mailbox) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[mailbox]") }

// Mailbox returns the mailbox of the code at this instance. It costs about a
// millisecond of key generation: a slow derivation here would let strangers
// keep the gate busy, and 91 random bits need none.
func (c Code) Mailbox(instance InstanceID) *Mailbox {
	seed := expand(c.b[:], []byte(instance), "mailbox pair", 32)
	private, err := kem().DeriveKeyPair(seed)
	clear(seed)
	if err != nil {
		panic("vault: the KEM refused a 32-byte seed: " + err.Error())
	}
	id := expand(c.b[:], []byte(instance), "mailbox id", 16)
	return &Mailbox{id: hex.EncodeToString(id), private: private}
}

// ID is the look-up id, 32 hex digits. It tells nothing of the code.
func (m *Mailbox) ID() string { return m.id }

// Public returns the public half, 1216 bytes, for [SealToMailbox].
func (m *Mailbox) Public() []byte { return m.private.PublicKey().Bytes() }

// Open opens an item sealed to this mailbox under the same info.
func (m *Mailbox) Open(info string, sealed []byte) ([]byte, error) {
	padded, err := openWith(m.private, encode("mailbox item", []byte(info)), sealed)
	if err != nil {
		return nil, err
	}
	return unpad(padded)
}

// SealToMailbox seals an item to a mailbox's public half, padded to a bucket
// of at least 1 KiB. info names the item and must be the same on opening.
func SealToMailbox(public []byte, info string, plaintext []byte) ([]byte, error) {
	key, err := kem().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("read a mailbox's public key: %w", err)
	}
	return sealTo(key, encode("mailbox item", []byte(info)), pad(plaintext, leastHeader))
}
