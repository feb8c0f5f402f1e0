package pgp

import (
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// What trying a passphrase may cost, since the sender chooses it. An iterated S2K has
// 65,011,712 bytes hashed at most by its format; Argon2 may ask for 2 TiB.
const (
	maxPhrases     = 4        // tried on one message
	maxArgonMemory = 64 << 10 // KiB, as RFC 9106's second recommendation has it
	maxArgonPasses = 4        // over that memory
	maxArgonLanes  = 16       // that is all one has processors for
	phraseHead     = 64       // bytes of a key packet that hold all of its S2K
)

// NeedsPassphrase reports whether why, a Failure's sentence, says that a passphrase would open
// the message.
func NeedsPassphrase(why string) bool {
	return why == PassphraseOnly.Error() || why == PassphraseToo.Error()
}

// phrase is one key packet for a passphrase (SKESK).
type phrase struct {
	p    *packet.SymmetricKeyEncrypted
	dear bool
}

// dear reports whether the S2K of an SKESK, of which head is the beginning, asks for more than we
// spend (RFC 9580 §3.7.1, §5.3). What it cannot read counts as dear.
func dear(head []byte) bool {
	_, n, err := readHeader(head)
	if err != nil || len(head) < n+2 {
		return true
	}
	b := head[n:]
	at := 2 // version, cipher, S2K
	switch b[0] {
	case 5:
		at = 3 // and the mode
	case 6:
		at = 5 // and two lengths
	}
	if len(b) <= at {
		return true
	}
	switch b = b[at:]; b[0] {
	case 0, 1, 3:
		return false
	case 4:
		if len(b) < 20 {
			return true
		}
		passes, lanes, exponent := b[17], b[18], b[19]
		return passes > maxArgonPasses || lanes > maxArgonLanes || exponent > 31 || 1<<exponent > maxArgonMemory
	}
	return true
}

// tryPassphrase tries the ring's passphrase with each key packet.
func (o *opener) tryPassphrase(p packet.EncryptedDataPacket, list []phrase, depth int) (io.ReadCloser, error) {
	why := WrongPassphrase
	for _, x := range list {
		if err := o.alive(); err != nil {
			return nil, err
		}
		if x.dear || o.phrases >= maxPhrases {
			why = DearPassphrase
			continue
		}
		if o.phrases++; o.phrases <= o.skip {
			continue
		}
		began := Spent()
		key, cipher, err := x.p.Decrypt(o.ring.Passphrase)
		o.waited += Spent() - began // bounded by itself
		if err != nil {
			continue
		}
		plain, err := p.Decrypt(cipher, key)
		if err != nil { // a session key by accident
			continue
		}
		o.used = o.phrases
		o.sessions = append(o.sessions, session{cipher, key})
		if depth == 0 {
			o.judgment.Encryption = EncryptedPhrase
		}
		return plain, nil
	}
	return nil, fail(why, nil)
}
