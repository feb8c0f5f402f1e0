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
	ToCurrentKey Encryption = "current"  // encrypted by the sender to a current key
	ToRetiredKey Encryption = "retired"  // encrypted to a key we no longer publish
	OnArrival    Encryption = "arrival"  // clear on its way, sealed when it arrived
	Unopened     Encryption = "unopened" // encrypted, but not openable by us (so far)
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
		OnArrival: "Sealed on arrival", Unopened: "Encrypted, and not opened yet",
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
	case Unopened:
		return "unopened"
	case OnArrival:
		return "sealed"
	}
	return "clear"
}
