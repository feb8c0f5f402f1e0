package gate

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"crypto/sha256"

	"postern/internal/disclosure"
	"postern/internal/postgres/gatedb"
	"postern/internal/vault"
)

// errBusy: more bodies are being read than the gate takes at once.
var errBusy = errors.New("too many uploads at once")

// intake is one arrival being taken in: its parts are written to the body one
// after the other, then it is stored whole or not at all.
type intake struct {
	g       *Gate
	set     *set
	kind    disclosure.ArrivalKind
	channel disclosure.Channel
	header  disclosure.ArrivalHeader
	body    *body
	max     int64 // bytes
	place   *place
}

// errNoAddress: a route whose requests do not begin with begun. Everybody there
// would be one and the same address.
var errNoAddress = errors.New("the request did not begin as one with a body does")

// begin takes a place among the uploads; close gives it back.
func (g *Gate) begin(ctx context.Context, s *set, kind disclosure.ArrivalKind, channel disclosure.Channel) (*intake, error) {
	address, _ := ctx.Value(addressKey{}).(string)
	if address == "" {
		return nil, errNoAddress
	}
	m, _ := ctx.Value(meterKey{}).(*meter)
	place, err := g.uploads.take(ctx, address, m)
	if err != nil {
		return nil, err
	}
	return &intake{g: g, set: s, kind: kind, channel: channel, body: newBody(g.c.Spool),
		max: s.policy().Intake.MaxBytes, place: place}, nil
}

// beginMail takes a place among the mails, which no web request can take.
func (g *Gate) beginMail(ctx context.Context, s *set, channel disclosure.Channel, m *meter) (*intake, error) {
	place, err := g.mails.take(ctx, "", m)
	if err != nil {
		return nil, err
	}
	// Base64 with its line ends makes seven bytes of five.
	return &intake{g: g, set: s, kind: disclosure.ArrivalMail, channel: channel, body: newBody(g.c.Spool),
		max: s.policy().Intake.MaxBytes * 7 / 5, place: place}, nil
}

// armored lets an intake take what our page encrypted of files that are within
// the policy's limit: armor makes seven bytes of five, and headers come on top.
func (in *intake) armored() { in.max = in.set.policy().Intake.MaxBytes*7/5 + 64<<10 }

// close gives back what the intake holds. More than once does no more.
func (in *intake) close() {
	in.body.Close()
	in.place.release()
}

// add reads one part to its end. What it read over the policy's limit is an
// *http.MaxBytesError of the caller's reader, or errTooLarge here.
func (in *intake) add(kind disclosure.PartKind, name, mediaType string, r io.Reader) (disclosure.ArrivalPart, error) {
	p := disclosure.ArrivalPart{Kind: kind, Name: name, Type: mediaType}
	sum := sha256.New()
	left := in.max - in.body.Size()
	n, err := io.Copy(io.MultiWriter(in.body, sum), io.LimitReader(r, left+1))
	if err != nil {
		return p, err
	}
	if n > left {
		return p, errTooLarge
	}
	p.Size, p.SHA256 = n, hex.EncodeToString(sum.Sum(nil))
	in.header.Parts = append(in.header.Parts, p)
	return p, nil
}

var errTooLarge = errors.New("larger than the policy allows")

// receipt is what the sender is told once, after the commit.
type receipt struct {
	Code     vault.Code
	Mailbox  disclosure.MailboxID
	Received time.Time
	SHA256   string // hex
}

// store seals and inserts. key makes a repeated request the same arrival; to
// is the mailbox when there is one already, else a new code is made for it.
// sum is the digest the receipt names. The answer is only ever given after the
// commit; an error means that nothing was stored, or that a repetition with
// the same key will find it.
func (in *intake) store(ctx context.Context, key string, to *vault.Mailbox, sum string) (receipt, error) {
	if to != nil { // the same words to another mailbox are another message
		in.header.Mailbox = disclosure.MailboxID(to.ID())
	}
	bodySum, err := in.identity()
	if err != nil {
		return receipt{}, err
	}
	id, code := vault.FromIdempotencyKey(key, bodySum)
	box := to
	if box == nil {
		box = code.Mailbox(in.set.instance)
	}
	in.header.Mailbox, in.header.MailboxPublic = disclosure.MailboxID(box.ID()), box.Public()
	received, err := in.insert(ctx, disclosure.ArrivalID(id), sum)
	if err != nil {
		return receipt{}, err
	}
	return receipt{Code: code, Mailbox: in.header.Mailbox, Received: received, SHA256: sum}, nil
}

// identity is the digest of all that was sent: the same bytes again are the
// same arrival, other bytes under the same key are another.
func (in *intake) identity() ([32]byte, error) {
	head, err := json.Marshal(struct {
		Kind    disclosure.ArrivalKind
		Channel disclosure.Channel
		Header  disclosure.ArrivalHeader
	}{in.kind, in.channel, in.header})
	if err != nil {
		return [32]byte{}, fmt.Errorf("describe the arrival: %w", err)
	}
	h := sha256.New()
	h.Write(head)
	sum := in.body.digest()
	h.Write(sum[:])
	return [32]byte(h.Sum(nil)), nil
}

// insert seals the header and streams the body into sealed chunks. Few bodies
// beyond what memory holds are stored at a time: more at once are no faster,
// and each costs some megabytes on its way.
func (in *intake) insert(ctx context.Context, id disclosure.ArrivalID, sum string) (time.Time, error) {
	in.place.keep()
	if in.body.OnDisk() {
		select {
		case in.g.stores <- struct{}{}:
			defer func() { <-in.g.stores }()
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
	in.header.Size, in.header.SHA256 = in.body.Size(), sum
	meta := vault.ArrivalMeta{
		Instance: in.set.instance, ID: string(id), Kind: string(in.kind), Channel: string(in.channel),
		VaultKey: in.set.vault.ID(), Received: in.g.c.Now().UTC().Truncate(time.Microsecond),
	}
	sealer, err := in.set.vault.SealArrival(meta)
	if err != nil {
		return time.Time{}, err
	}
	head, err := in.header.Encode()
	if err != nil {
		return time.Time{}, err
	}
	body, err := in.chunks(sealer)
	if err != nil {
		return time.Time{}, err
	}
	received, _, err := in.g.c.DB.InsertArrival(ctx, gatedb.Arrival{
		ID: id, Kind: in.kind, Channel: in.channel, Received: meta.Received, VaultKey: meta.VaultKey,
		Encapsulation: sealer.Encapsulation(), Header: sealer.Header(head),
	}, body)
	return received, err
}

// chunks seals the body. What is in memory is one piece.
func (in *intake) chunks(sealer *vault.ArrivalSealer) (iter.Seq2[gatedb.Chunk, error], error) {
	if in.body.OnDisk() {
		r, err := in.body.Reader()
		return pieces(sealer, r), err
	}
	whole, err := in.body.Head(vault.SpoolMemory)
	return func(yield func(gatedb.Chunk, error) bool) {
		yield(gatedb.Chunk{Final: true, Sealed: sealer.Chunk(0, true, whole)}, nil)
	}, err
}

// pieces seals a long body piece by piece. It reads one piece ahead, since the
// last one is sealed as the last; two pieces are in memory.
func pieces(sealer *vault.ArrivalSealer, r io.Reader) iter.Seq2[gatedb.Chunk, error] {
	return func(yield func(gatedb.Chunk, error) bool) {
		read := func(b []byte) ([]byte, error) {
			n, err := io.ReadFull(r, b[:vault.MaxArrivalChunk])
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = nil
			}
			return b[:n], err
		}
		spare := make([]byte, vault.MaxArrivalChunk)
		piece, err := read(make([]byte, vault.MaxArrivalChunk))
		for n := 0; ; n++ {
			next := spare[:0]
			if err == nil && len(piece) == vault.MaxArrivalChunk {
				next, err = read(spare)
			}
			if err != nil {
				yield(gatedb.Chunk{}, err)
				return
			}
			final := len(next) == 0
			if !yield(gatedb.Chunk{N: n, Final: final, Sealed: sealer.Chunk(n, final, piece)}, nil) || final {
				return
			}
			piece, spare = next, piece
		}
	}
}

// Receive takes one mail: it is sealed with its envelope and stored before
// Receive returns nil. It resolves nothing and answers nothing. The policy's
// limit is of what a mail carries, so its base64 may be 7/5 of it; a larger one
// is an error wrapping ErrTooLarge. If r has a method CutOff, it is called from
// another goroutine when r hardly comes and others wait; Read must then return.
func (g *Gate) Receive(ctx context.Context, channel disclosure.Channel, e disclosure.Envelope, r io.Reader) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	// As with forms: most mails are here before they need a place.
	m := &meter{ReadCloser: io.NopCloser(r), began: time.Now()}
	if slow, ok := r.(interface{ CutOff() }); ok {
		m.cut = slow.CutOff
	}
	whole := beginning(m)
	in, err := g.beginMail(ctx, s, channel, m)
	if err != nil {
		return err
	}
	defer in.close()
	in.header.Envelope = &e
	p, err := in.add(disclosure.PartMail, "", "message/rfc822", whole)
	if err != nil {
		return err
	}
	_, err = in.insert(ctx, disclosure.ArrivalID(vault.NewID()), p.SHA256)
	return err
}

// ErrTooLarge: a mail is larger than the policy allows.
var ErrTooLarge = errTooLarge

// Domains are those the listener accepts mail for; empty before Start.
func (g *Gate) Domains() []string {
	if s := g.set.Load(); s != nil {
		return s.policy().Contact.Domains
	}
	return nil
}
