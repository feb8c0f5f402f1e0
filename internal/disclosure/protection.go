package disclosure

// Protection is what our cryptography found about a message. It is computed by
// us and shown outside the message's own frame.
type Protection struct {
	Encryption Encryption
	Signature  Signature
	Integrity  Integrity
	Signer     string // full fingerprint, empty when none
	Problem    string // named key problem or why it could not be opened; empty: none
}

// Encryption is how the text was protected on its way to us.
type Encryption string

const (
	ToCurrentKey   Encryption = "current"    // encrypted by the sender to a current key
	ToRetiredKey   Encryption = "retired"    // encrypted to a key we no longer publish
	WithPassphrase Encryption = "passphrase" // encrypted with a passphrase a member was told, to no key of ours
	OnArrival      Encryption = "arrival"    // clear on its way, sealed when it arrived
	Unopened       Encryption = "unopened"   // encrypted, but not openable by us (so far)
)

// Signature is what could be said about the signer.
type Signature string

const (
	SignedKnown     Signature = "valid-known"
	SignedUnknown   Signature = "valid-unknown"
	SignedInvalid   Signature = "invalid"
	SignedUnchecked Signature = "unverifiable"
	Unsigned        Signature = "none"
)

// Integrity says whether the verdicts hold for the whole message.
type Integrity string

const (
	Whole    Integrity = "whole"
	PartOnly Integrity = "part"
)

// Sentence says the protection in words for a page, without the signer.
func (p Protection) Sentence() string {
	s := map[Encryption]string{
		ToCurrentKey: "Encrypted to our key", ToRetiredKey: "Encrypted to a retired key of ours",
		WithPassphrase: "Encrypted with a passphrase",
		OnArrival:      "Sealed on arrival", Unopened: "Encrypted, and not opened yet",
	}[p.Encryption]
	if s == "" {
		s = "Not encrypted"
	}
	switch p.Signature {
	case SignedKnown:
		s += ", signed by a key we know"
	case SignedUnknown:
		s += ", signed by a key we do not know"
	case SignedInvalid:
		s += ", its signature is not valid"
	case SignedUnchecked:
		s += ", its signature could not be checked"
	}
	if p.Integrity == PartOnly {
		s += "; this holds for a part only"
	}
	return s + "."
}

// Short is the word for the inbox's narrow column.
func (p Protection) Short() string {
	switch p.Encryption {
	case ToCurrentKey:
		return "encrypted"
	case ToRetiredKey:
		return "old key"
	case WithPassphrase:
		return "passphrase"
	case Unopened:
		return "unopened"
	case OnArrival:
		return "sealed"
	}
	return "clear"
}

// problems are the named problems of a signature, as sentences.
var problems = map[string]string{
	"not-found":         "We do not have the key that signed this.",
	"revoked":           "The key that signed this was revoked before.",
	"expired":           "The key that signed this had expired.",
	"not-yet-valid":     "The key that signed this is dated later than the signature.",
	"weak-key":          "The key that signed this is too weak to prove anything.",
	"not-for-signing":   "The key that signed this is not meant for signing.",
	"in-the-future":     "The signature is dated in the future.",
	"signature-expired": "The signature was given an end, and that is over.",
	"mismatch":          "The signature does not belong to this text: one of the two was changed.",
	"weak-hash":         "The signature uses a digest that is broken (SHA-1 or MD5).",
	"malformed":         "The signature is not a well-formed one.",
}

// ProblemWords is Protection.Problem as a sentence for a page: a code in words,
// anything else as it is.
func ProblemWords(problem string) string {
	if words, ok := problems[problem]; ok {
		return words
	}
	return problem
}
