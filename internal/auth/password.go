package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

const (
	// MinPassword is the least length of a password, in characters.
	MinPassword = 12
	// MaxPassword is the greatest length, in bytes: more costs only us.
	MaxPassword = 1024

	saltSize = 16
	hashSize = 32
)

var (
	// ErrWrongPassword says that the password is not the one hashed.
	ErrWrongPassword = errors.New("wrong password")
	// ErrBadHash says that a stored hash cannot be read.
	ErrBadHash = errors.New("the stored password hash cannot be read")

	ErrShortPassword    = fmt.Errorf("a password needs at least %d characters", MinPassword)
	ErrLongPassword     = fmt.Errorf("a password has at most %d bytes", MaxPassword)
	ErrPersonalPassword = errors.New("a password must not be your name or address")
	ErrUniformPassword  = errors.New("a password must not be one character repeated")
)

// Cost is the price of one try (Argon2id, RFC 9106).
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

// A stored hash must not take all our memory or time.
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

// AcceptPassword says what is wrong with a new password, or nil. names are the
// member's own: name, login, address. Only length counts beyond that: rules
// about kinds of characters make passwords worse (NIST SP 800-63B §3.1.1.2).
func AcceptPassword(password string, names ...string) error {
	password = normal(password)
	if len(password) > MaxPassword {
		return ErrLongPassword
	}
	if utf8.RuneCountInString(password) < MinPassword {
		return ErrShortPassword
	}
	first, _ := utf8.DecodeRuneInString(password)
	if strings.Trim(password, string(first)) == "" {
		return ErrUniformPassword
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(squeeze(password), squeeze(name)) {
			return ErrPersonalPassword
		}
	}
	return nil
}

func squeeze(s string) string { return strings.Join(strings.Fields(normal(s)), "") }

// normal makes equal what looks equal on other keyboards (RFC 8265 §4.2).
func normal(password string) string { return norm.NFC.String(password) }

// HashPassword returns the PHC string of the password: algorithm, cost, salt
// and hash in one line. It does not judge the password: see [AcceptPassword].
func HashPassword(password string, cost Cost) (string, error) {
	if err := cost.check(); err != nil {
		return "", err
	}
	if len(password) > MaxPassword {
		return "", ErrLongPassword
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	h := phc{cost: cost, salt: salt}
	h.hash = h.derive(password, hashSize)
	return h.String(), nil
}

// CheckPassword returns nil for the right password, [ErrWrongPassword] for
// another, [ErrBadHash] for a stored hash that is none.
func CheckPassword(stored, password string) error {
	h, err := parsePHC(stored)
	if err != nil {
		return err
	}
	if len(password) > MaxPassword {
		password = password[:MaxPassword] // costs the same, and cannot match below
		_ = h.derive(password, len(h.hash))
		return ErrWrongPassword
	}
	if subtle.ConstantTimeCompare(h.derive(password, len(h.hash)), h.hash) != 1 {
		return ErrWrongPassword
	}
	return nil
}

// DummyHash returns a hash that no password has. A sign-in with an unknown
// name checks against it, so that it takes as long as one with a known name.
// Make it once, at the cost the members' hashes have.
func DummyHash(cost Cost) (string, error) {
	if err := cost.check(); err != nil {
		return "", err
	}
	h := phc{cost: cost, salt: make([]byte, saltSize), hash: make([]byte, hashSize)}
	_, _ = rand.Read(h.salt)
	_, _ = rand.Read(h.hash)
	return h.String(), nil
}

// NeedsRehash reports whether a stored hash was made at another cost. After a
// successful sign-in it is then replaced.
func NeedsRehash(stored string, cost Cost) bool {
	h, err := parsePHC(stored)
	return err != nil || h.cost != cost
}

type phc struct {
	cost       Cost
	salt, hash []byte
}

// deriving bounds the memory that sign-ins take at the same time: 64 MiB each.
var deriving = make(chan struct{}, 4)

func (h phc) derive(password string, size int) []byte {
	deriving <- struct{}{}
	defer func() { <-deriving }()
	return argon2.IDKey([]byte(normal(password)), h.salt, h.cost.Time, h.cost.MemoryKiB, h.cost.Threads, uint32(size))
}

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.cost.MemoryKiB, h.cost.Time, h.cost.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.hash))
}

func parsePHC(text string) (phc, error) {
	fields := strings.Split(text, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return phc{}, ErrBadHash
	}
	var h phc
	if fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, ErrBadHash
	}
	_, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &h.cost.MemoryKiB, &h.cost.Time, &h.cost.Threads)
	if err != nil || h.cost.check() != nil {
		return phc{}, ErrBadHash
	}
	strict := base64.RawStdEncoding.Strict()
	h.salt, err = strict.DecodeString(fields[4])
	if err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return phc{}, ErrBadHash
	}
	h.hash, err = strict.DecodeString(fields[5])
	if err != nil || len(h.hash) < 16 || len(h.hash) > 64 {
		return phc{}, ErrBadHash
	}
	if h.String() != text {
		return phc{}, ErrBadHash // Sscanf is lenient: signs, spaces, what follows
	}
	return h, nil
}
