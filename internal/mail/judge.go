package mail

import (
	"slices"

	"postern/internal/pgp"
)

// finish judges the whole from its pieces.
func (r *reader) finish() { r.m.judge() }

// Judge judges the signatures of m by other certificates than those it was read with, such as one
// that came in it, without reading it again. ok is false where it has to be read again: where what
// is signed is not encrypted, or something signed lies inside something signed.
func (m *Message) Judge(known func(keyID uint64) []pgp.Known) (ok bool) {
	if m.nested {
		return false
	}
	judged := slices.Clone(m.Pieces)
	for i := range judged {
		p := &judged[i].Protection
		if p.Signature == pgp.SignatureNone {
			continue
		}
		if *p, ok = p.Again(known); !ok || p.Encryption == pgp.EncryptedNone {
			return false
		}
	}
	m.Pieces, m.Protection = judged, bare()
	m.Problems = slices.DeleteFunc(m.Problems, func(f Finding) bool { return f == Finding{"", ProblemPart, ""} })
	m.judge()
	return true
}

// judge settles what covers the whole.
func (m *Message) judge() {
	var covers []pgp.Judgment
	for _, p := range m.Pieces {
		if p.Kind != KindSignature { // an enclosed message counts by its frame, which somebody else may have put around it
			covers = append(covers, p.Protection)
		}
	}
	if len(covers) == 0 {
		return
	}
	whole := covers[0]
	for _, c := range covers[1:] {
		if c.Encryption == whole.Encryption && c.Signature == whole.Signature && c.SignerFingerprint == whole.SignerFingerprint && c.Problem == whole.Problem {
			continue
		}
		whole = strongest(whole, c)
		whole.Integrity = pgp.IntegrityPart
	}
	if whole.Integrity == pgp.IntegrityPart {
		m.problem("", ProblemPart, "")
	}
	m.Protection = whole
}

// strongest keeps what is known of either, for a message of which it covers a part; what is wrong
// with a signature wins over what is right with another.
func strongest(a, b pgp.Judgment) pgp.Judgment {
	out := a
	if a.Encryption == pgp.EncryptedNone || b.Encryption == pgp.EncryptedRetired || b.Encryption == pgp.EncryptedPhrase {
		if b.Encryption != pgp.EncryptedNone {
			out.Encryption, out.OpenedWith, out.Recipients, out.Layers = b.Encryption, b.OpenedWith, b.Recipients, b.Layers
		}
	}
	if signatureRank(b.Signature) > signatureRank(a.Signature) {
		out.TakeSignature(b)
	}
	return out
}

func signatureRank(s pgp.Signature) int {
	switch s {
	case pgp.SignatureInvalid:
		return 4
	case pgp.SignatureUnverifiable:
		return 3
	case pgp.SignatureValidUnknown:
		return 2
	case pgp.SignatureValidKnown:
		return 1
	}
	return 0
}
