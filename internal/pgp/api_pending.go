package pgp

// Signatures that others build against; the bodies move into their own files.

import (
	"context"
	"errors"
	"io"
	"time"
)

var errPending = errors.New("pgp: not built yet")

type Certificate struct{ raw []byte }

func ParseCertificates(b []byte) ([]*Certificate, error) { return nil, errPending }

func (c *Certificate) Fingerprint() string                     { return "" }
func (c *Certificate) FingerprintGroups() string               { return "" }
func (c *Certificate) KeyIDs() []uint64                        { return nil }
func (c *Certificate) UserIDs() []string                       { return nil }
func (c *Certificate) Addresses() []string                     { return nil }
func (c *Certificate) CanEncrypt(now time.Time) error          { return errPending }
func (c *Certificate) CanSign(now time.Time) error             { return errPending }
func (c *Certificate) Expires(now time.Time) (time.Time, bool) { return time.Time{}, false }
func (c *Certificate) Armored() []byte                         { return nil }
func (c *Certificate) Binary() []byte                          { return nil }
func (c *Certificate) Minimal() *Certificate                   { return c }

// Problem says why a key cannot be used. The set is closed.
type Problem string

const (
	ProblemExpired       Problem = "expired"
	ProblemRevoked       Problem = "revoked"
	ProblemNotYetValid   Problem = "not-yet-valid"
	ProblemWeakKey       Problem = "weak-key"       // RSA under 2048 bits
	ProblemWeakAlgorithm Problem = "weak-algorithm" // DSA, ElGamal, an unsafe curve
	ProblemWeakHash      Problem = "weak-hash"      // bound by SHA-1 signatures only
	ProblemCannotEncrypt Problem = "cannot-encrypt" // sign-only
	ProblemCannotSign    Problem = "cannot-sign"
	ProblemInvalid       Problem = "invalid" // no valid self-signature
	ProblemUnsupported   Problem = "unsupported"
)

// KeyError says in one sentence for people why a certificate cannot be used.
type KeyError struct {
	Problem     Problem
	Fingerprint string
	At          time.Time // when it expired, if Problem is ProblemExpired; else zero
}

func (e *KeyError) Error() string { return string(e.Problem) }

type Secret struct{ raw []byte }

type Subkey struct {
	Fingerprint string
	KeyID       uint64
	CanSign     bool
	CanEncrypt  bool
	Created     time.Time
	Expires     time.Time // zero: never
	Revoked     bool
}

func NewTeam(name, email string, now time.Time) (*Secret, []byte, error) { return nil, nil, errPending }
func ParseSecret(b []byte, passphrase []byte) (*Secret, error)           { return nil, errPending }
func (s *Secret) Certificate() *Certificate                              { return nil }
func (s *Secret) Bytes() []byte                                          { return nil }
func (s *Secret) Export(passphrase []byte) ([]byte, error)               { return nil, errPending }
func (s *Secret) Renew(now time.Time) (*Secret, error)                   { return nil, errPending }
func (s *Secret) Subkeys(now time.Time) []Subkey                         { return nil }

type Encryption string

const (
	EncryptedCurrent Encryption = "current"
	EncryptedRetired Encryption = "retired"
	EncryptedNone    Encryption = "none"
)

type Signature string

const (
	SignatureValidKnown   Signature = "valid-known"
	SignatureValidUnknown Signature = "valid-unknown"
	SignatureInvalid      Signature = "invalid"
	SignatureUnverifiable Signature = "unverifiable"
	SignatureNone         Signature = "none"
)

type Integrity string

const (
	IntegrityWhole Integrity = "whole"
	IntegrityPart  Integrity = "part"
)

// SignatureProblem says why a signature is not simply valid. The set is closed.
type SignatureProblem string

const (
	SignerNotFound    SignatureProblem = "not-found"
	SignerRevoked     SignatureProblem = "revoked"
	SignerExpired     SignatureProblem = "expired"
	SignerNotYetValid SignatureProblem = "not-yet-valid"
	SignatureFuture   SignatureProblem = "in-the-future"
	SignatureExpired  SignatureProblem = "signature-expired"
	SignatureMismatch SignatureProblem = "mismatch"
	SignatureWeak     SignatureProblem = "weak"
	SignatureBroken   SignatureProblem = "malformed"
)

// Note is a further finding worth showing. The set is closed.
type Note string

// Known is a certificate that may have made a signature.
type Known struct {
	Certificate *Certificate
	Label       string // who it belongs to, as the team knows; empty: we merely hold it
}

// Ring is what Open may use.
type Ring struct {
	Secrets []*Secret
	Retired []*Secret
	Known   func(keyID uint64) []Known // may be nil
}

// Judgment is what was found about a message.
type Judgment struct {
	Encryption        Encryption
	Signature         Signature
	Problem           SignatureProblem // "" when Signature is valid-known or none
	SignerFingerprint string           // of the primary key where known, else what the signature claims, or ""
	SignerKeyID       uint64
	SignerLabel       string
	SignedAt          time.Time
	Integrity         Integrity
	OpenedWith        string // fingerprint of the subkey that opened it
	Recipients        []uint64
	Layers            int // layers of encryption
	Size              int64
	Notes             []Note
}

func Open(ctx context.Context, src io.ReadSeeker, ring Ring, now time.Time, limits Limits, dst io.Writer) (Judgment, error) {
	return Judgment{}, errPending
}

// VerifyDetached judges a detached signature, armored or binary, over data
// exactly as given (RFC 3156: the caller makes its line ends CRLF).
func VerifyDetached(data io.Reader, signature []byte, known func(uint64) []Known, now time.Time) (Judgment, error) {
	return Judgment{}, errPending
}

// OpenClearSigned returns only the text that is inside the signed region.
func OpenClearSigned(text []byte, known func(uint64) []Known, now time.Time) ([]byte, Judgment, error) {
	return nil, Judgment{}, errPending
}

func ClearSign(text []byte, s *Secret, now time.Time) ([]byte, error) { return nil, errPending }

// DetachSign returns the armored signature and the hash's name as RFC 3156
// wants it in micalg ("pgp-sha512").
func DetachSign(data []byte, s *Secret, now time.Time) ([]byte, string, error) {
	return nil, "", errPending
}

type Prepared struct{ zip, plain []byte }

func Prepare(entity []byte, s *Secret, now time.Time) (*Prepared, error)        { return nil, errPending }
func PrepareUnsigned(entity []byte) (*Prepared, error)                          { return nil, errPending }
func PrepareWithSignature(entity, signature []byte) (*Prepared, error)          { return nil, errPending }
func (p *Prepared) Encrypt(w io.Writer, to []*Certificate, now time.Time) error { return errPending }

// ReleaserSignature is a signature that CheckReleaserSignature accepted.
type ReleaserSignature struct {
	Fingerprint string // of the primary key
	KeyID       uint64 // of the key that signed
	At          time.Time
	Hash        string // "SHA-256" …
	Packet      []byte // the one signature packet, binary, as it was made
}

// Refusal says why a releaser's signature is not accepted. The set is closed; each is an error with a sentence for people.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func CheckReleaserSignature(entity, signature []byte, allowed []*Certificate, notBefore, now time.Time) (ReleaserSignature, error) {
	return ReleaserSignature{}, errPending
}
