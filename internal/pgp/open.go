package pgp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"time"

	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Open opens a message, armored or binary, in two passes over src from where
// it stands: the first counts, checks integrity and judges the signatures, keeping
// nothing; only when it has passed does the second write the plaintext to dst.
// So dst holds nothing of a damaged message. If the second pass fails all the same
// (src changed underneath, or dst failed), what dst got must be thrown away.
//
// An unencrypted message in OpenPGP packets opens too, as EncryptedNone.
// The error is an *OpenError, dst's or src's own, or ctx's. Limits.Time bounds what
// the first pass costs, without src; the second repeats it with dst's cost added. A nil
// dst only judges.
func Open(ctx context.Context, src io.ReadSeeker, ring Ring, now time.Time, limits Limits, dst io.Writer) (j Judgment, err error) {
	runtime.LockOSThread() // whose time is bounded
	defer runtime.UnlockOSThread()
	defer func() {
		if r := recover(); r != nil {
			err = fail(Unsupported, errors.New("panic while reading"))
		}
	}()
	start, err := src.Seek(0, io.SeekCurrent)
	if err != nil {
		return Judgment{}, fmt.Errorf("seek message: %w", err)
	}
	first := &opener{ctx: ctx, began: Spent(), ring: ring, now: now, limits: limits}
	for err = first.run(src); err != nil; err = first.run(src) {
		if first.used == 0 || first.used >= maxPhrases || failureOf(err) != WrongPassphrase {
			return first.judgment, err
		}
		if _, err := src.Seek(start, io.SeekStart); err != nil { // another of its passphrases may be the one
			return first.judgment, fmt.Errorf("seek message: %w", err)
		}
		first = &opener{ctx: ctx, began: first.began, waited: first.waited, ring: ring, now: now, limits: limits, skip: first.used}
	}
	if dst == nil {
		return first.judgment, nil
	}
	if _, err := src.Seek(start, io.SeekStart); err != nil {
		return first.judgment, fmt.Errorf("seek message: %w", err)
	}
	second := &opener{ctx: ctx, ring: ring, now: now, limits: limits, dst: dst, sessions: first.sessions, again: true}
	if err := second.run(src); err != nil {
		return first.judgment, err
	}
	return first.judgment, nil
}

var (
	errTooSlow     = errors.New("took too long to judge")
	errTwoLiterals = errors.New("more than one literal in a message")
	errNoContent   = errors.New("no content in the message")
	errOrder       = errors.New("packets in an impossible order")
)

// sourceError is src's or dst's own error, to be passed on as it is.
type sourceError struct{ err error }

func (e sourceError) Error() string { return e.err.Error() }
func (e sourceError) Unwrap() error { return e.err }

// session is a session key found in the first pass, for the second.
type session struct {
	cipher packet.CipherFunction
	key    []byte
}

// opener is one pass.
type opener struct {
	ctx      context.Context
	ring     Ring
	now      time.Time
	limits   Limits
	dst      io.Writer
	sessions []session     // by layer
	began    time.Duration // what the thread had spent before
	waited   time.Duration // spent in src
	again    bool          // second pass: sessions are known, signatures judged

	input    int64
	packets  int
	unpacked int64
	literal  bool
	phrases  int // key packets for passphrases looked at
	skip     int // of them, that were seen not to be the one
	used     int // the one that gave a session key, counted from 1; 0: none
	signers  []*signer
	judgment Judgment
	sealed   hash.Hash // of the outermost container
}

func (o *opener) run(src io.Reader) error {
	o.judgment = Judgment{Encryption: EncryptedNone, Signature: SignatureNone, Integrity: IntegrityWhole}
	in := &countingReader{o: o, r: src}
	bin, isArmor, err := dearmor(in)
	if err != nil {
		if errors.Is(err, errNoArmor) {
			return fail(Malformed, err)
		}
		return classify(err)
	}
	if err := o.layer(bin, 0, 0); err != nil {
		return classify(err)
	}
	if !o.literal {
		return fail(Malformed, errNoContent)
	}
	if d, ok := bin.(*dearmorReader); isArmor && ok && containsRepair(d.parser.repairs, RepairChecksum) {
		o.judgment.note(NoteArmorChecksum)
	}
	if !o.again {
		o.judge()
	}
	return nil
}

// countingReader reads src under the limits of size and time.
type countingReader struct {
	o *opener
	r io.Reader
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.o.alive(); err != nil {
		return 0, err
	}
	began := Spent()
	n, err := c.r.Read(p)
	c.o.waited += Spent() - began
	if c.o.input += int64(n); c.o.input > c.o.limits.Input {
		return 0, fail(TooLarge, nil)
	}
	if err != nil && err != io.EOF {
		err = sourceError{fmt.Errorf("read message: %w", err)}
	}
	return n, err
}

func (o *opener) alive() error {
	if o.ctx.Err() != nil {
		return sourceError{context.Cause(o.ctx)}
	}
	if !o.again && Spent()-o.began-o.waited > o.limits.Time {
		return fail(TooComplex, errTooSlow)
	}
	return nil
}

// tally counts the bytes read through it, and remembers the first of a packet.
type tally struct {
	r    io.Reader
	n    int64
	head []byte // at most its capacity
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.head = append(t.head, p[:min(n, cap(t.head)-len(t.head))]...)
	return n, err
}

// unpackReader counts what comes out of a decompressor.
type unpackReader struct {
	o *opener
	r io.Reader
}

func (u *unpackReader) Read(p []byte) (int, error) {
	if err := u.o.alive(); err != nil {
		return 0, err
	}
	n, err := u.r.Read(p)
	o := u.o
	if o.unpacked += int64(n); o.unpacked > o.limits.Unpacked || o.unpacked > ratioFloor && o.unpacked > o.limits.Ratio*o.input {
		return 0, fail(TooLarge, nil)
	}
	return n, err
}

// layer reads packets to the end of r. depth counts encryption, nesting any container.
func (o *opener) layer(r io.Reader, depth, nesting int) error {
	if depth > o.limits.Depth || nesting > o.limits.Nesting {
		return fail(TooComplex, errors.New("too many layers"))
	}
	keys := &keyPackets{}
	content := false // this layer's message was read
	in := &tally{r: r, head: make([]byte, 0, phraseHead)}
	for {
		if err := o.alive(); err != nil {
			return err
		}
		if o.packets++; o.packets > o.limits.Packets {
			return fail(TooComplex, errors.New("too many packets"))
		}
		before := in.n
		in.head = in.head[:0]
		p, err := packet.Read(in)
		if err == io.EOF {
			if !content && keys.any() {
				return fail(Damaged, errCut)
			}
			return nil
		}
		if err != nil {
			skip, err := o.unreadable(p, err, keys, content, nesting)
			if err != nil {
				return err
			}
			if skip {
				continue
			}
			return nil
		}
		switch p := p.(type) {
		case *packet.Marker, packet.Padding:
			continue
		case *packet.EncryptedKey:
			keys.list = append(keys.list, p)
		case *packet.SymmetricKeyEncrypted:
			keys.passphrases = append(keys.passphrases, phrase{p, dear(in.head)})
		case *packet.SymmetricallyEncrypted:
			if content {
				return o.trailing(nesting, errTwoLiterals)
			}
			content = true
			if !p.IntegrityProtected {
				return fail(NoIntegrity, nil)
			}
			p.Contents = o.digest(p.Contents)
			err = o.encrypted(p, keys, depth, nesting)
		case *packet.AEADEncrypted:
			if content {
				return o.trailing(nesting, errTwoLiterals)
			}
			content = true
			p.Contents = o.digest(p.Contents)
			err = o.encrypted(p, keys, depth, nesting)
		case *packet.Compressed:
			if content || keys.any() {
				return o.trailing(nesting, errOrder)
			}
			content = true
			body := &unpackReader{o, p.Body}
			if err = o.layer(body, depth, nesting+1); err == nil {
				_, err = io.Copy(io.Discard, body)
			}
		case *packet.OnePassSignature:
			if content || keys.any() {
				return o.trailing(nesting, errOrder)
			}
			err = o.addSigner(&signer{ops: p})
		case *packet.Signature:
			err = o.signature(p, content)
		case *packet.LiteralData:
			if o.literal {
				return o.trailing(nesting, errTwoLiterals)
			}
			if keys.any() {
				return fail(Malformed, errOrder)
			}
			content = true
			err = o.copyLiteral(p.Body)
		default:
			return o.trailing(nesting, errOrder)
		}
		if err != nil {
			return err
		}
		if keys.any() && !content {
			keys.bytes += in.n - before
			if keys.count() > o.limits.KeyPackets || keys.bytes > o.limits.KeyPacketBytes {
				return fail(TooComplex, errors.New("too many key packets"))
			}
		}
	}
}

// digest has what is read of the outermost container hashed in the first pass.
func (o *opener) digest(r io.Reader) io.Reader {
	if o.again || o.sealed != nil {
		return r
	}
	o.sealed = sha256.New()
	return io.TeeReader(r, o.sealed)
}

// trailing is about packets that do not belong there. After the whole message
// they are passed over and noted; inside one, they make it malformed.
func (o *opener) trailing(nesting int, err error) error {
	if nesting == 0 && o.literal && o.judgment.Layers > 0 {
		o.judgment.note(NoteTrailing)
		return nil
	}
	return fail(Malformed, err)
}

// unreadable is about a packet the library gave an error for. skip: go on.
func (o *opener) unreadable(p packet.Packet, err error, keys *keyPackets, content bool, nesting int) (skip bool, _ error) {
	var unknown openpgperrors.UnknownPacketTypeError
	var unsupported openpgperrors.UnsupportedError
	var critical openpgperrors.CriticalUnknownPacketTypeError
	switch {
	case errors.As(err, &unknown):
		return true, nil
	case errors.As(err, &critical) && !(content && nesting == 0):
		return false, fail(Unsupported, err)
	case errors.As(err, &unsupported):
		switch p.(type) {
		case *packet.EncryptedKey, *packet.SymmetricKeyEncrypted:
			keys.unknown++
			if keys.count() > o.limits.KeyPackets {
				return false, fail(TooComplex, errors.New("too many key packets"))
			}
			return true, nil
		case *packet.OnePassSignature:
			return true, o.addSigner(&signer{bad: true, ops: &packet.OnePassSignature{}})
		case *packet.Signature:
			if content {
				for i := len(o.signers) - 1; i >= 0; i-- {
					if s := o.signers[i]; s.sig == nil && s.ops != nil && !s.bad {
						s.bad = true
						return true, nil
					}
				}
			}
			return true, o.addSigner(&signer{bad: true})
		}
		return false, fail(Unsupported, err)
	}
	if content && nesting == 0 && o.literal && o.judgment.Layers > 0 {
		o.judgment.note(NoteTrailing)
		return false, nil
	}
	return false, err
}

// keyPackets are those at the head of one layer.
type keyPackets struct {
	list        []*packet.EncryptedKey
	passphrases []phrase
	unknown     int
	bytes       int64
}

func (k *keyPackets) count() int { return len(k.list) + len(k.passphrases) + k.unknown }
func (k *keyPackets) any() bool  { return k.count() > 0 }

// encrypted opens one encrypted container and reads it to its end, where its
// integrity is checked.
func (o *opener) encrypted(p packet.EncryptedDataPacket, keys *keyPackets, depth, nesting int) (err error) {
	if keys.count() > o.limits.KeyPackets {
		return fail(TooComplex, errors.New("too many key packets"))
	}
	if depth >= o.limits.Depth {
		return fail(TooComplex, errors.New("too many layers of encryption"))
	}
	if len(o.signers) > 0 {
		return fail(Unsupported, errors.New("signature around an encrypted message"))
	}
	if o.judgment.Layers++; o.judgment.Layers > 1 {
		o.judgment.note(NoteNested)
	}
	plain, err := o.decrypt(p, keys, depth)
	if err != nil {
		if f := failureOf(err); depth == 0 && slices.Contains(unreadable, f) {
			return o.unread(p, err)
		}
		return err
	}
	if o.used > 0 {
		defer func() {
			if f := failureOf(classify(err)); f == Damaged || f == Malformed { // a session key by accident
				err = fail(WrongPassphrase, err)
			}
		}()
	}
	err = o.layer(plain, depth+1, nesting+1)
	if f := failureOf(err); f == TooLarge || f == TooComplex || isSource(err) {
		return err
	}
	// What went wrong inside is only worth telling if the content is what was encrypted.
	if _, drain := io.Copy(io.Discard, plain); drain != nil {
		if isSource(drain) || failureOf(drain) == TooLarge {
			return drain
		}
		return fail(Damaged, drain)
	}
	if closing := plain.Close(); closing != nil {
		return fail(Damaged, closing)
	}
	if depth == 0 && o.sealed != nil {
		o.judgment.Digest = o.sealed.Sum(nil)
	}
	return err
}

// unreadable are the failures of a message that may be whole.
var unreadable = []Failure{NotForUs, PassphraseOnly, PassphraseToo, WrongPassphrase, DearPassphrase}

// unread reads a container that nothing of ours opens, for its digest.
func (o *opener) unread(p packet.EncryptedDataPacket, why error) error {
	var contents io.Reader
	switch p := p.(type) {
	case *packet.SymmetricallyEncrypted:
		contents = p.Contents
	case *packet.AEADEncrypted:
		contents = p.Contents
	}
	if contents == nil {
		return why
	}
	if _, err := io.Copy(io.Discard, contents); err == nil {
		o.judgment.Digest = o.sealed.Sum(nil)
	} else if isSource(err) {
		return err
	}
	return why
}

func isSource(err error) bool {
	var s sourceError
	return errors.As(err, &s)
}

func failureOf(err error) Failure {
	var e *OpenError
	if errors.As(err, &e) {
		return e.Failure
	}
	return ""
}

// decrypt finds the session key, among ours first by key id, then for hidden
// recipients by trying.
func (o *opener) decrypt(p packet.EncryptedDataPacket, keys *keyPackets, depth int) (io.ReadCloser, error) {
	if o.again {
		if depth >= len(o.sessions) {
			return nil, fail(Damaged, errors.New("message changed between passes"))
		}
		s := o.sessions[depth]
		return p.Decrypt(s.cipher, s.key)
	}
	if depth == 0 {
		for _, k := range keys.list {
			o.judgment.Recipients = append(o.judgment.Recipients, k.KeyId)
			if k.KeyId == 0 {
				o.judgment.note(NoteHidden)
			}
		}
		if len(keys.passphrases) > 0 {
			o.judgment.note(NotePassphrase)
		}
	}
	for _, hidden := range []bool{false, true} {
		for _, k := range keys.list {
			if (k.KeyId == 0) != hidden {
				continue
			}
			if err := o.alive(); err != nil {
				return nil, err
			}
			plain, err := o.tryKey(p, k, depth)
			if plain != nil || err != nil {
				return plain, err
			}
		}
	}
	if len(keys.passphrases) > 0 && len(o.ring.Passphrase) > 0 {
		return o.tryPassphrase(p, keys.passphrases, depth)
	}
	switch {
	case keys.unknown > 0:
		return nil, fail(Unsupported, errors.New("a key packet of an unknown kind"))
	case len(keys.list) == 0 && len(keys.passphrases) > 0:
		return nil, fail(PassphraseOnly, nil)
	case len(keys.passphrases) > 0:
		return nil, fail(PassphraseToo, nil)
	case len(keys.list) == 0:
		return nil, fail(Malformed, errors.New("encrypted without key packets"))
	}
	return nil, fail(NotForUs, nil)
}

// tryKey tries one key packet with each of our keys. Nil, nil: none fits.
func (o *opener) tryKey(p packet.EncryptedDataPacket, k *packet.EncryptedKey, depth int) (io.ReadCloser, error) {
	for i, s := range append(o.ring.Secrets[:len(o.ring.Secrets):len(o.ring.Secrets)], o.ring.Retired...) {
		cipher, key, by, current := s.sessionKey(k, o.now)
		if key == nil {
			continue
		}
		plain, err := p.Decrypt(cipher, key)
		if err != nil {
			if k.KeyId == 0 { // a session key by accident
				continue
			}
			return nil, fail(Damaged, err)
		}
		o.sessions = append(o.sessions, session{cipher, key})
		if depth == 0 {
			o.judgment.OpenedWith = by
			o.judgment.Encryption = EncryptedRetired
			if current && i < len(o.ring.Secrets) {
				o.judgment.Encryption = EncryptedCurrent
			}
		}
		return plain, nil
	}
	return nil, nil
}

// copyLiteral hashes the content, and in the second pass writes it.
func (o *opener) copyLiteral(body io.Reader) error {
	o.literal = true
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if o.judgment.Size += int64(n); o.judgment.Size > o.limits.Output {
				return fail(TooLarge, nil)
			}
			if !o.again {
				for _, s := range o.signers {
					if !s.bad {
						s.hash.in.Write(buf[:n])
					}
				}
			}
			if o.dst != nil {
				if _, err := o.dst.Write(buf[:n]); err != nil {
					return sourceError{fmt.Errorf("write plaintext: %w", err)}
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
