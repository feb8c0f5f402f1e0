package pgp

import (
	"errors"
	"fmt"
	"hash"

	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// signer is one signature of the message, hashed as the literal goes by.
type signer struct {
	ops  *packet.OnePassSignature
	sig  *packet.Signature
	hash sigHash
	bad  bool // unsupported or malformed
}

// addSigner notes a signature that is announced or stands before the content.
func (o *opener) addSigner(s *signer) error {
	if len(o.signers) >= o.limits.Signatures {
		return fail(TooComplex, errors.New("too many signatures"))
	}
	if !s.bad && !o.again {
		var err error
		if s.sig != nil {
			s.hash, err = hashFor(s.sig)
		} else {
			s.hash, err = hashOfOnePass(s.ops)
		}
		s.bad = err != nil
	}
	o.signers = append(o.signers, s)
	return nil
}

func hashOfOnePass(p *packet.OnePassSignature) (sigHash, error) {
	if !p.Hash.Available() {
		return sigHash{}, openpgperrors.UnsupportedError("hash function")
	}
	var h hash.Hash = p.Hash.New()
	if p.Version == 6 {
		h.Write(p.Salt)
	}
	return wrapHash(h, p.SigType)
}

// signature takes a signature packet: before the content it stands for itself,
// after it for the last one-pass packet that still waits.
func (o *opener) signature(p *packet.Signature, content bool) error {
	if !content {
		if o.literal {
			return fail(Malformed, errOrder)
		}
		return o.addSigner(&signer{sig: p})
	}
	for i := len(o.signers) - 1; i >= 0; i-- {
		if s := o.signers[i]; s.sig == nil && s.ops != nil {
			s.sig = p
			return nil
		}
	}
	return o.addSigner(&signer{sig: p, bad: true}) // announced by nothing
}

// matches says whether a signature is the one its one-pass packet announced.
func (s *signer) matches() bool {
	if s.ops == nil {
		return true
	}
	if s.sig.SigType != s.ops.SigType || s.sig.Hash != s.ops.Hash || s.sig.PubKeyAlgo != s.ops.PubKeyAlgo ||
		(s.sig.Version == 6) != (s.ops.Version == 6) || s.sig.IssuerKeyId == nil {
		return false
	}
	return s.ops.Version == 6 && string(s.sig.Salt()) == string(s.ops.Salt) || s.ops.Version != 6 && *s.sig.IssuerKeyId == s.ops.KeyId
}

// judge settles what the signatures are worth: the best one counts.
func (o *opener) judge() {
	if best := o.best(); best != nil {
		o.judgment.apply(*best)
		o.judgment.signed = o.unsettled()
	}
	if len(o.signers) > 1 {
		o.judgment.note(NoteSeveralSigned)
	}
}

// unsettled is what best needs to be asked again, without session keys; nil where a hash would be
// used up.
func (o *opener) unsettled() *opener {
	for _, s := range o.signers {
		if _, ok := s.hash.sum.(hash.Cloner); !ok && !s.bad {
			return nil
		}
	}
	return &opener{ring: Ring{Secrets: o.ring.Secrets, Retired: o.ring.Retired}, now: o.now, signers: o.signers, judgment: Judgment{Layers: o.judgment.Layers}}
}

// best judges each signature; nil where there is none.
func (o *opener) best() *verdict {
	var best *verdict
	for _, s := range o.signers {
		v := verdict{signature: SignatureUnverifiable, problem: SignatureBroken}
		switch {
		case s.bad:
		case s.sig == nil || !s.matches():
			v.signature = SignatureInvalid
		default:
			v = judgeSignature(s.sig, s.hash.sum, o.ring.Known, o.now)
			if o.judgment.Layers > 0 && !o.intended(s.sig) {
				v.notes = append(v.notes, NoteOtherRecipient)
			}
		}
		if best == nil || v.rank() < best.rank() {
			best = &v
		}
	}
	return best
}

// intended says whether we are among the recipients a signature names, if any
// (RFC 9580 §5.2.3.36).
func (o *opener) intended(sig *packet.Signature) bool {
	if len(sig.IntendedRecipients) == 0 {
		return true
	}
	for _, r := range sig.IntendedRecipients {
		fp := fmt.Sprintf("%X", r.Fingerprint)
		for _, s := range append(o.ring.Secrets[:len(o.ring.Secrets):len(o.ring.Secrets)], o.ring.Retired...) {
			if s.cert.fingerprint == fp {
				return true
			}
		}
	}
	return false
}
