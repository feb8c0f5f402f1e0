package pgp

import (
	"fmt"
	"slices"
	"time"
)

// Encryption says to which of our keys a message was encrypted. The set is closed.
type Encryption string

const (
	EncryptedCurrent Encryption = "current"
	EncryptedRetired Encryption = "retired"    // a key of Ring.Retired, or a subkey that expired, was revoked or is weak
	EncryptedPhrase  Encryption = "passphrase" // opened with Ring.Passphrase: to none of our keys
	EncryptedNone    Encryption = "none"
)

// Signature says what a signature is worth. The set is closed.
type Signature string

const (
	SignatureValidKnown   Signature = "valid-known"   // good, by a key whose owner the team knows
	SignatureValidUnknown Signature = "valid-unknown" // good, by a key we merely hold: never shown green
	SignatureInvalid      Signature = "invalid"       // does not match, or by a key that was not good when it was made
	SignatureUnverifiable Signature = "unverifiable"  // cannot be checked
	SignatureNone         Signature = "none"
)

// Integrity says how much of the message the findings cover. The set is closed.
type Integrity string

const (
	IntegrityWhole Integrity = "whole"
	IntegrityPart  Integrity = "part" // there is something around the protected part
)

// SignatureProblem says why a signature is not simply valid. The set is closed.
type SignatureProblem string

const (
	SignerNotFound    SignatureProblem = "not-found"         // no certificate with that key
	SignerRevoked     SignatureProblem = "revoked"           // the key was revoked before, or for having been stolen
	SignerExpired     SignatureProblem = "expired"           // the key had expired when it signed
	SignerNotYetValid SignatureProblem = "not-yet-valid"     // the key is dated in the future or after the signature
	SignerWeak        SignatureProblem = "weak-key"          // RSA under 2048 bits, DSA, SHA-1 bindings
	SignerUnfit       SignatureProblem = "not-for-signing"   // the key is not meant for signing, or not bound to its certificate
	SignatureFuture   SignatureProblem = "in-the-future"     // made more than five minutes from now
	SignatureExpired  SignatureProblem = "signature-expired" // its own time is over
	SignatureMismatch SignatureProblem = "mismatch"          // the content was changed, or another was signed
	SignatureWeak     SignatureProblem = "weak-hash"         // SHA-1, MD5
	SignatureBroken   SignatureProblem = "malformed"         // names no issuer, is of an unknown version, or does not fit its place
)

// Note is a further finding worth showing. The set is closed.
type Note string

const (
	NoteTrailing       Note = "trailing-data"          // bytes follow the message
	NoteNested         Note = "encrypted-twice"        // a layer of encryption inside another
	NotePassphrase     Note = "also-passphrase"        // a passphrase opens it, too
	NoteHidden         Note = "hidden-recipient"       // a key packet without key id
	NoteSeveralSigned  Note = "several-signatures"     // the best of them is told
	NoteSignerExpired  Note = "signer-expired-since"   // valid: the key expired after signing
	NoteSignerRevoked  Note = "signer-revoked-since"   // valid: the key was replaced after signing
	NoteOtherRecipient Note = "signed-for-others"      // the signature names recipients, and we are not among them
	NoteOutside        Note = "text-outside-signature" // there is text around the signed region
	NoteHashHeader     Note = "hash-header-differs"    // the Hash header of a clear-signed text is not the signature's
	NoteArmorChecksum  Note = "armor-checksum-differs"
)

// Judgment is what was found about a message.
type Judgment struct {
	Encryption        Encryption
	Signature         Signature
	Problem           SignatureProblem // "" when Signature is valid or none
	SignerFingerprint string           // primary key's where known, else what the signature claims, or ""
	SignerKeyID       uint64
	SignerLabel       string    // of the certificate that checked it
	SignedAt          time.Time // as the signature claims
	Integrity         Integrity
	OpenedWith        string   // fingerprint of the subkey that opened the outermost layer
	Recipients        []uint64 // key ids of the outermost layer; 0 is a hidden recipient
	Layers            int      // layers of encryption
	Size              int64    // bytes of plaintext
	Notes             []Note   // in the order of being found, each once

	// Digest is SHA-256 of what the outermost container holds, read whole: the
	// same ciphertext has the same one whatever is put around it, key packets
	// included. Nil where nothing is encrypted or it was damaged.
	Digest []byte

	signed *opener // for Again; nil where it cannot be judged again
}

// Again judges the signatures anew, by other certificates than those of the ring, from the
// digests that were taken when the message was opened: it is not read once more. ok is false where
// only reading it tells.
func (j Judgment) Again(known func(keyID uint64) []Known) (again Judgment, ok bool) {
	defer func() {
		if recover() != nil {
			again, ok = j, false
		}
	}()
	if j.signed == nil {
		return j, false
	}
	o := *j.signed
	o.ring.Known = known
	j.Notes = slices.Clone(j.Notes)
	j.apply(*o.best())
	return j, true
}

// TakeSignature makes what is known of from's signatures known of j's.
func (j *Judgment) TakeSignature(from Judgment) {
	j.Signature, j.Problem = from.Signature, from.Problem
	j.SignerFingerprint, j.SignerKeyID = from.SignerFingerprint, from.SignerKeyID
	j.SignerLabel, j.SignedAt, j.signed = from.SignerLabel, from.SignedAt, from.signed
}

// String is for logs: the findings, and nothing of the content.
func (j Judgment) String() string {
	return fmt.Sprintf("encryption %s, signature %s, integrity %s", j.Encryption, j.Signature, j.Integrity)
}

func (j *Judgment) note(n Note) {
	for _, x := range j.Notes {
		if x == n {
			return
		}
	}
	j.Notes = append(j.Notes, n)
}

// Known is a certificate that may have made a signature.
type Known struct {
	Certificate *Certificate
	Label       string // whose it is, as the team knows; empty: we merely hold it
}

// Ring is what Open may use.
type Ring struct {
	Secrets []*Secret
	Retired []*Secret                  // opening with these is EncryptedRetired whatever their subkeys' state
	Known   func(keyID uint64) []Known // may be nil; called for each signature

	// Passphrase is tried where no key opens: a member was told it for one message. Nil: none is.
	Passphrase []byte
}
