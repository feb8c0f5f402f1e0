package pgp

import (
	"errors"
	"fmt"
	"time"

	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

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
	Fingerprint string    // of the primary key
	At          time.Time // when it expired, if Problem is ProblemExpired and that is known; else zero
}

func (e *KeyError) Error() string {
	key := "The key " + groups(e.Fingerprint)
	switch e.Problem {
	case ProblemExpired:
		if !e.At.IsZero() {
			return fmt.Sprintf("%s expired on %s.", key, e.At.UTC().Format("2 January 2006"))
		}
		return key + " has expired."
	case ProblemRevoked:
		return key + " has been revoked."
	case ProblemNotYetValid:
		return key + " is dated in the future."
	case ProblemWeakKey:
		return key + " is an RSA key of fewer than 2048 bits."
	case ProblemWeakAlgorithm:
		return key + " uses an algorithm that is no longer safe (DSA, ElGamal or an unsafe curve)."
	case ProblemWeakHash:
		return key + " is held together by SHA-1 signatures only; its owner must renew them."
	case ProblemCannotEncrypt:
		return key + " cannot be used for encryption."
	case ProblemCannotSign:
		return key + " cannot be used for signing."
	case ProblemUnsupported:
		return key + " is of a kind we cannot use."
	}
	return key + " has no valid signature of its own."
}

// use is what a key is wanted for.
type use int

const (
	forEncryption use = iota
	forSigning
)

// CanEncrypt says why the certificate cannot be encrypted to, as a *KeyError; nil: it can.
func (c *Certificate) CanEncrypt(now time.Time) error {
	_, err := c.encryptionKey(now)
	return err
}

// CanSign says why no signature made now by the certificate would be good, as a *KeyError.
func (c *Certificate) CanSign(now time.Time) error { return c.usable(now, forSigning) }

func (c *Certificate) usable(now time.Time, u use) (err error) {
	defer func() {
		if recover() != nil {
			err = &KeyError{Problem: ProblemUnsupported, Fingerprint: c.fingerprint}
		}
	}()
	e, err := c.entity()
	if err != nil {
		return &KeyError{Problem: ProblemUnsupported, Fingerprint: c.fingerprint}
	}
	if u == forEncryption {
		_, err = e.EncryptionKeyWithError(now, strict())
	} else if _, ok := e.SigningKey(now, strict()); !ok {
		err = errors.New("no signing key")
	}
	if err == nil {
		return nil
	}
	p, at := c.diagnose(now, u)
	return &KeyError{Problem: p, Fingerprint: c.fingerprint, At: at}
}

// diagnose finds the reason why no key of the certificate serves. Each question
// goes to a fresh entity, because entities remember answers that depend on
// the time and the strictness they were asked with.
func (c *Certificate) diagnose(now time.Time, u use) (Problem, time.Time) {
	e, err := c.entity()
	if err != nil {
		return ProblemUnsupported, time.Time{}
	}
	if p, at := c.primaryProblem(e, now); p != "" {
		return p, at
	}
	problem, at, newest := Problem(""), time.Time{}, time.Time{}
	for i := range e.Subkeys {
		s := &e.Subkeys[i]
		p, t, capable := subkeyProblem(c, i, now, u)
		if !capable || p == "" {
			continue
		}
		if problem == "" || s.PublicKey.CreationTime.After(newest) {
			problem, at, newest = p, t, s.PublicKey.CreationTime
		}
	}
	switch {
	case problem != "":
		return problem, at
	case u == forEncryption:
		return ProblemCannotEncrypt, time.Time{}
	}
	return ProblemCannotSign, time.Time{}
}

// primaryProblem says what is wrong with the primary key; "" is nothing.
func (c *Certificate) primaryProblem(e *openpgp.Entity, now time.Time) (Problem, time.Time) {
	if p := weakness(e.PrimaryKey); p != "" {
		return p, time.Time{}
	}
	if e.PrimaryKey.CreationTime.After(now) {
		return ProblemNotYetValid, time.Time{}
	}
	sig, err := e.VerifyPrimaryKey(now, strict())
	switch {
	case err == nil:
		return "", time.Time{}
	case errors.Is(err, openpgperrors.ErrKeyRevoked):
		return ProblemRevoked, time.Time{}
	case errors.Is(err, openpgperrors.ErrKeyExpired):
		return ProblemExpired, keyExpiry(e.PrimaryKey, sig)
	}
	if e, err := c.entity(); err == nil { // the same, taking SHA-1
		if _, err := e.VerifyPrimaryKey(now, lenient()); err == nil || errors.Is(err, openpgperrors.ErrKeyExpired) {
			return ProblemWeakHash, time.Time{}
		}
	}
	if e, err := c.entity(); err == nil { // the same, at any time
		if sig, err := e.VerifyPrimaryKey(time.Time{}, strict()); err == nil {
			if sig.CreationTime.After(now) {
				return ProblemNotYetValid, time.Time{}
			}
			return ProblemExpired, time.Time{}
		}
	}
	return ProblemInvalid, time.Time{}
}

// subkeyProblem says what is wrong with subkey i; capable is whether it is
// meant for the use at all.
func subkeyProblem(c *Certificate, i int, now time.Time, u use) (p Problem, at time.Time, capable bool) {
	ask := func(when time.Time, cfg *packet.Config) (*openpgp.Subkey, *packet.Signature, error) {
		e, err := c.entity()
		if err != nil {
			return nil, nil, err
		}
		s := &e.Subkeys[i]
		sig, err := s.LatestValidBindingSignature(when, cfg)
		return s, sig, err
	}
	weak := false
	s, sig, err := ask(now, strict())
	if err != nil {
		if s, sig, err = ask(now, lenient()); err == nil {
			weak = true
		} else if s, sig, err = ask(time.Time{}, lenient()); err != nil {
			return "", at, false
		}
	}
	algo := s.PublicKey.PubKeyAlgo
	if u == forEncryption {
		capable = algo.CanEncrypt() && (!sig.FlagsValid || sig.FlagEncryptCommunications || sig.FlagEncryptStorage)
	} else {
		capable = algo.CanSign() && (!sig.FlagsValid || sig.FlagSign)
	}
	if !capable {
		return "", at, false
	}
	switch {
	case weakness(s.PublicKey) != "":
		return weakness(s.PublicKey), at, true
	case s.Revoked(sig, now):
		return ProblemRevoked, at, true
	case s.PublicKey.CreationTime.After(now) || sig.CreationTime.After(now):
		return ProblemNotYetValid, at, true
	case s.Expired(sig, now):
		return ProblemExpired, keyExpiry(s.PublicKey, sig), true
	case weak:
		return ProblemWeakHash, at, true
	}
	return "", at, true
}

// weakness says whether the key's own algorithm and size are too weak.
func weakness(k *packet.PublicKey) Problem {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoDSA, packet.PubKeyAlgoElGamal:
		return ProblemWeakAlgorithm
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSAEncryptOnly, packet.PubKeyAlgoRSASignOnly:
		if n, err := k.BitLength(); err != nil || n < 2047 {
			return ProblemWeakKey
		}
	case packet.PubKeyAlgoECDH, packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA:
		if curve, err := k.Curve(); err != nil || curve == packet.CurveSecP256k1 {
			return ProblemWeakAlgorithm
		}
	}
	return ""
}

// keyExpiry is when the key expires by its self-signature; zero: never.
func keyExpiry(k *packet.PublicKey, sig *packet.Signature) time.Time {
	var at time.Time
	if sig == nil {
		return at
	}
	if sig.KeyLifetimeSecs != nil && *sig.KeyLifetimeSecs != 0 {
		at = k.CreationTime.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second)
	}
	if sig.SigLifetimeSecs != nil && *sig.SigLifetimeSecs != 0 {
		if t := sig.CreationTime.Add(time.Duration(*sig.SigLifetimeSecs) * time.Second); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// Expires says when the certificate can no longer be encrypted to by the
// passing of time alone: the primary key's expiry or, if earlier, that of the
// encryption key that lasts longest. A moment in the past means it already
// cannot. false: never, or there is no key for encryption at all.
func (c *Certificate) Expires(now time.Time) (at time.Time, ok bool) {
	defer func() {
		if recover() != nil {
			at, ok = time.Time{}, false
		}
	}()
	e, err := c.entity()
	if err != nil {
		return time.Time{}, false
	}
	primary, err := e.VerifyPrimaryKey(now, strict())
	if primary == nil || errors.Is(err, openpgperrors.ErrKeyRevoked) {
		return time.Time{}, false
	}
	end := keyExpiry(e.PrimaryKey, primary)
	var last time.Time
	found, forever := false, false
	for i := range e.Subkeys {
		s := &e.Subkeys[i]
		sig, err := s.LatestValidBindingSignature(now, strict())
		if err != nil || s.Revoked(sig, now) || weakness(s.PublicKey) != "" || !s.PublicKey.PubKeyAlgo.CanEncrypt() ||
			sig.FlagsValid && !sig.FlagEncryptCommunications && !sig.FlagEncryptStorage {
			continue
		}
		found = true
		t := keyExpiry(s.PublicKey, sig)
		forever = forever || t.IsZero()
		if t.After(last) {
			last = t
		}
	}
	if !found && e.PrimaryKey.PubKeyAlgo.CanEncrypt() &&
		(!primary.FlagsValid || primary.FlagEncryptCommunications || primary.FlagEncryptStorage) {
		found, forever = true, true
	}
	switch {
	case !found:
		return time.Time{}, false
	case forever:
		return end, !end.IsZero()
	case !end.IsZero() && end.Before(last):
		return end, true
	}
	return last, true
}
