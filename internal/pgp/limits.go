package pgp

import (
	"errors"
	"io"
	"time"

	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
)

// Limits bounds what one input may cost. Every field must be positive.
type Limits struct {
	KeyPackets     int           // key packets (PKESK, SKESK) at the head of one encrypted layer
	KeyPacketBytes int64         // bytes those key packets may take together
	Packets        int           // packets in one message, all layers counted together
	Depth          int           // layers of encryption, one inside the other
	Nesting        int           // containers of any kind, one inside the other
	Signatures     int           // signatures on one message
	Input          int64         // bytes of the message as it came
	Unpacked       int64         // bytes out of all decompressors together
	Ratio          int64         // bytes out of the decompressors per byte of input
	Output         int64         // bytes of plaintext
	Time           time.Duration // processor time of judging one input
}

// DefaultLimits are the limits for anything a stranger may send.
var DefaultLimits = Limits{
	KeyPackets:     16,
	KeyPacketBytes: 16 << 10,
	Packets:        4096,
	Depth:          3,
	Nesting:        8,
	Signatures:     16,
	Input:          36 << 20, // 25 MiB and its armor
	Unpacked:       64 << 20,
	Ratio:          200,
	Output:         64 << 20,
	Time:           2 * time.Second,
}

// Limits of certificates. They are not part of Limits because no caller has a
// reason to choose others.
const (
	maxCertificateInput      = 8 << 20   // bytes offered, before stripping
	maxCertificateBytes      = 256 << 10 // bytes of one certificate, stripped
	maxCertificates          = 64        // certificates in one input
	maxCertificateUserIDs    = 64
	maxCertificateSignatures = 512
	maxCertificateSubkeys    = 64
	maxUserIDRunes           = 200
)

// ratioFloor is how much may be unpacked before Limits.Ratio is asked: a small
// report of blank lines compresses well and harms nobody.
const ratioFloor = 1 << 20

// Failure says why a message could not be opened. The set is closed. It is an
// error itself, so that errors.Is(err, pgp.NotForUs) works on what Open returns.
type Failure string

const (
	NotForUs        Failure = "not-for-us"       // none of its key packets is for a key we hold
	TooLarge        Failure = "too-large"        // larger than the limits, as sent or when unpacked
	Damaged         Failure = "damaged"          // altered or cut off: the integrity check did not pass
	NoIntegrity     Failure = "no-integrity"     // encrypted without integrity protection (packet tag 9)
	PassphraseOnly  Failure = "passphrase-only"  // encrypted with a passphrase and to no key
	PassphraseToo   Failure = "passphrase-too"   // encrypted with a passphrase and to no key of ours
	WrongPassphrase Failure = "wrong-passphrase" // none of its passphrases is Ring.Passphrase
	DearPassphrase  Failure = "dear-passphrase"  // trying a passphrase would cost more than we spend
	Malformed       Failure = "malformed"        // not a well-formed OpenPGP message
	Unsupported     Failure = "unsupported"      // uses something this version cannot read
	TooComplex      Failure = "too-complex"      // too many packets, key packets, layers, or too slow to judge
)

// Error returns one sentence for people.
func (f Failure) Error() string {
	switch f {
	case NotForUs:
		return "This message is encrypted to a key we do not hold."
	case TooLarge:
		return "This message is too large, or becomes too large when unpacked."
	case Damaged:
		return "This message is damaged or incomplete: its integrity check failed."
	case NoIntegrity:
		return "This message is encrypted without integrity protection, which is unsafe to open."
	case PassphraseOnly:
		return "This message is encrypted with a passphrase only."
	case PassphraseToo:
		return "This message is encrypted with a passphrase, and to a key we do not hold."
	case WrongPassphrase:
		return "This passphrase does not open the message, or the message is damaged."
	case DearPassphrase:
		return "Trying a passphrase on this message would take more memory or time than we spend."
	case Malformed:
		return "This is not a well-formed OpenPGP message."
	case Unsupported:
		return "This message uses an OpenPGP feature we cannot read."
	case TooComplex:
		return "This message is more complicated than any real one."
	}
	return "This message cannot be opened."
}

// OpenError is the error of Open and its kin: the Failure, and for the log a
// cause that holds nothing of the message's content.
type OpenError struct {
	Failure Failure
	cause   error
}

func (e *OpenError) Error() string {
	if e.cause == nil {
		return "open message: " + string(e.Failure)
	}
	return "open message: " + string(e.Failure) + ": " + e.cause.Error()
}

// Is makes errors.Is(err, pgp.Damaged) work.
func (e *OpenError) Is(target error) bool {
	f, ok := target.(Failure)
	return ok && f == e.Failure
}

// Unwrap gives the cause, which may be a context's error.
func (e *OpenError) Unwrap() error { return e.cause }

func fail(f Failure, cause error) error { return &OpenError{Failure: f, cause: cause} }

// classify turns an error met while reading packets into one of Open's.
func classify(err error) error {
	var (
		open        *OpenError
		source      sourceError
		unsupported openpgperrors.UnsupportedError
		unknown     openpgperrors.UnknownPacketTypeError
		critical    openpgperrors.CriticalUnknownPacketTypeError
		session     openpgperrors.DecryptWithSessionKeyError
		signature   openpgperrors.SignatureError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &open):
		return err
	case errors.As(err, &source):
		return source.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errCut), errors.Is(err, errArmorBroken), errors.Is(err, errArmorCut):
		return fail(Damaged, err)
	case errors.As(err, &unsupported), errors.As(err, &unknown), errors.As(err, &critical):
		return fail(Unsupported, err)
	case errors.As(err, &session), errors.As(err, &signature):
		return fail(Damaged, err)
	}
	return fail(Malformed, err)
}
