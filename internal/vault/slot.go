package vault

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// SlotKind says what opens a slot.
type SlotKind string

const (
	SlotPassphrase SlotKind = "passphrase" // a holder types it
	SlotRecovery   SlotKind = "recovery"   // words on paper, printed once
	SlotMachine    SlotKind = "machine"    // a machine credential: in the format, not yet supported
)

// MinPassphrase is the least length of a passphrase, in characters.
const MinPassphrase = 12

// ErrMachineSlot says that machine credentials cannot be used yet.
var ErrMachineSlot = errors.New("machine credentials are not supported yet: use a passphrase")

// ErrShortPassphrase says that a passphrase is too easily guessed.
var ErrShortPassphrase = fmt.Errorf("a passphrase needs at least %d characters", MinPassphrase)

// Slot holds the vault pair's private half wrapped under one secret. Any slot
// opens the vault. Label and Member may be changed freely; ID, KeyID and Kind
// are bound.
type Slot struct {
	ID      string
	KeyID   string // [Record.KeyID]
	Kind    SlotKind
	Label   string
	Member  string // id of the member whose secret it is; empty: nobody's of the team
	KDF     []byte // JSON: algorithm, salt and cost
	Wrapped []byte
	Created time.Time
}

// Cost is the price of one try at a passphrase (Argon2id, RFC 9106).
type Cost struct {
	Time      uint32 // passes
	MemoryKiB uint32
	Threads   uint8
}

var (
	// DefaultCost is RFC 9106's second recommendation.
	DefaultCost = Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 4}
	// TestCost protects nothing. For tests and the demo.
	TestCost = Cost{Time: 1, MemoryKiB: 64, Threads: 1}
)

// A row of a stranger's making must not take all our memory or time.
var maxCost = Cost{Time: 32, MemoryKiB: 1 << 20, Threads: 64}

func (c Cost) check() error {
	if c.Time < 1 || c.Threads < 1 || c.MemoryKiB < 8*uint32(c.Threads) {
		return errors.New("Argon2id cost is too low to compute")
	}
	if c.Time > maxCost.Time || c.MemoryKiB > maxCost.MemoryKiB || c.Threads > maxCost.Threads {
		return errors.New("Argon2id cost is above what we accept")
	}
	return nil
}

const argon2id = "argon2id"

type slotKDF struct {
	Algorithm string `json:"algorithm"`
	Salt      []byte `json:"salt"`
	Time      uint32 `json:"time"`
	MemoryKiB uint32 `json:"memory_kib"`
	Threads   uint8  `json:"threads"`
}

func newKDF(cost Cost) (slotKDF, error) {
	k := slotKDF{argon2id, random(16), cost.Time, cost.MemoryKiB, cost.Threads}
	return k, cost.check()
}

func parseKDF(text []byte) (slotKDF, error) {
	var k slotKDF
	if err := json.Unmarshal(text, &k); err != nil {
		return k, fmt.Errorf("read the slot's key derivation: %w", err)
	}
	if k.Algorithm != argon2id {
		return k, fmt.Errorf("the slot's key derivation %q is unknown", k.Algorithm)
	}
	if len(k.Salt) < 8 || len(k.Salt) > 64 {
		return k, errors.New("the slot's salt has a wrong length")
	}
	return k, Cost{k.Time, k.MemoryKiB, k.Threads}.check()
}

func (k slotKDF) key(kind SlotKind, secret string) Key {
	out := argon2.IDKey([]byte(normalSecret(kind, secret)), k.Salt, k.Time, k.MemoryKiB, k.Threads, keySize)
	defer clear(out)
	return Key{[keySize]byte(out)}
}

// normalSecret makes equal what a person would call the same secret: for
// passphrases Unicode's composed form and no line end (RFC 8265 §4.2), for
// recovery phrases only the letters of the words count.
func normalSecret(kind SlotKind, secret string) string {
	if kind == SlotRecovery {
		return strings.Join(letters(secret), "")
	}
	return norm.NFC.String(strings.TrimRight(secret, "\r\n"))
}

const recoveryWords = 10

// NewRecoveryPhrase returns ten random words of the EFF list, 129 bits.
func NewRecoveryPhrase() string {
	words := make([]string, recoveryWords)
	for i := range words {
		n, _ := rand.Int(rand.Reader, big.NewInt(wordCount)) // never fails since Go 1.24
		words[i] = wordList().words[n.Int64()]
	}
	return strings.Join(words, " ")
}

func checkSecret(kind SlotKind, secret string) error {
	switch kind {
	case SlotPassphrase:
		if utf8.RuneCountInString(normalSecret(kind, secret)) < MinPassphrase {
			return ErrShortPassphrase
		}
	case SlotRecovery:
		if len(normalSecret(kind, secret)) < 3*recoveryWords {
			return errors.New("a recovery phrase is made by NewRecoveryPhrase")
		}
	case SlotMachine:
		return ErrMachineSlot
	default:
		return fmt.Errorf("unknown kind of slot %q", kind)
	}
	return nil
}

// newSlot wraps the private half. Before the wrapped key stands a commitment
// to the slot's own key, because AES-GCM alone lets one ciphertext open under
// several keys, by which a forged slot could try many passphrases at once.
func newSlot(instance InstanceID, keyID string, private Key, kind SlotKind, label, secret string, now time.Time, cost Cost) (Slot, error) {
	if err := checkSecret(kind, secret); err != nil {
		return Slot{}, err
	}
	derivation, err := newKDF(cost)
	if err != nil {
		return Slot{}, err
	}
	text, err := json.Marshal(derivation)
	if err != nil {
		return Slot{}, fmt.Errorf("write the slot's key derivation: %w", err)
	}
	s := Slot{ID: NewID(), KeyID: keyID, Kind: kind, Label: label, KDF: text, Created: now}
	outer := derivation.key(kind, secret)
	s.Wrapped = append(outer.Tag("slot", s.aad(instance)), outer.seal(s.aad(instance), private.b[:])...)
	return s, nil
}

func (s Slot) aad(instance InstanceID) []byte {
	return encode("slot", []byte(instance), []byte(s.ID), []byte(s.KeyID), []byte(s.Kind))
}

// open returns the private half if the secret is this slot's.
func (s Slot) open(instance InstanceID, secret string) (Key, error) {
	derivation, err := parseKDF(s.KDF)
	if err != nil {
		return Key{}, err
	}
	outer := derivation.key(s.Kind, secret)
	commitment := outer.Tag("slot", s.aad(instance))
	if len(s.Wrapped) < len(commitment) || !EqualTags(commitment, s.Wrapped[:len(commitment)]) {
		return Key{}, ErrWrongSecret
	}
	b, err := outer.open(s.aad(instance), s.Wrapped[len(commitment):])
	if err != nil {
		return Key{}, err
	}
	defer clear(b)
	return KeyFromBytes(b)
}
