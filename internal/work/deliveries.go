package work

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/smtp"
)

// deliveries sends what is due of each notice that is being sent, over as
// many connections as there are workers. It counts attempts.
func (w *Work) deliveries(ctx context.Context) (int, error) {
	if !w.unlocked() {
		return 0, nil
	}
	notices, err := w.c.DB.SendingNotices(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the notices being sent: %w", err)
	}
	did := 0
	var errs []error
	for _, id := range notices {
		if ctx.Err() != nil {
			break
		}
		n, err := w.deliver(ctx, id)
		did += n
		if err != nil && !quiet(err) {
			errs = append(errs, fmt.Errorf("send notice %s: %w", id, err))
		}
	}
	return did, errors.Join(errs...)
}

func (w *Work) deliver(ctx context.Context, id disclosure.NoticeID) (int, error) {
	_, signer, err := w.keys.get(ctx)
	if err != nil {
		return 0, err
	}
	var (
		group    sync.WaitGroup
		mu       sync.Mutex
		attempts int
		errs     []error
	)
	send := func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
		mu.Lock()
		attempts++
		mu.Unlock()
		return w.send(ctx, o, signer)
	}
	for range w.c.Workers {
		group.Go(func() {
			_, err := w.c.DB.Deliver(ctx, id, w.c.DB.Now, send)
			if err != nil && !errors.Is(err, disclosure.ErrNotFound) {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(errs) > 0 {
		return attempts, errs[0] // the others say the same
	}
	return attempts, nil
}

// send is one attempt. It never panics out: a panic before the final dot is a
// mail known to be unsent.
func (w *Work) send(ctx context.Context, o disclosure.Outgoing, signer *pgp.Secret) (out disclosure.Outcome) {
	dotted := false
	defer func() {
		if r := recover(); r != nil {
			w.Stats.Panics.Add(1)
			out = disclosure.Outcome{State: disclosure.Rejected, Text: "Writing the mail failed inside: " + panicText(r)}
			if dotted {
				out.State = disclosure.Uncertain
			}
			w.c.Log.Error("sending panicked", "delivery", o.Delivery.ID, "stack", stack())
		}
	}()
	write, err := w.writer(o, signer)
	if err != nil {
		return disclosure.Outcome{State: disclosure.Rejected, Text: err.Error()}
	}
	from, reply, err := w.returnPath(o)
	if err != nil {
		return disclosure.Outcome{State: disclosure.Rejected, Text: err.Error()}
	}
	outer := mail.Outer{
		From: o.From, To: o.Recipient.Address, ReplyTo: reply, Date: w.c.DB.Now(),
		MessageID: angled(o.Delivery.MessageID), InReplyTo: angled(o.InReplyTo),
	}
	if outer.InReplyTo != "" {
		outer.References = []string{outer.InReplyTo}
	}
	if o.Notice.Audience.Private() {
		outer.AutoSubmitted = mail.AutoNo
	}
	var refused error
	digest := sha256.New()
	if !o.Deadline.IsZero() {
		// The deadline is in the program's time; what is left of it is not.
		var cancel context.CancelFunc
		left := o.Deadline.Sub(w.c.DB.Now())
		if left <= 0 {
			return disclosure.Outcome{State: disclosure.Canceled, Text: "The deadline of the notice has passed."}
		}
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	got := w.c.Sender.Send(ctx,
		smtp.Envelope{From: from, To: bareAddress(o.Recipient.Address), ID: string(o.Delivery.ID), RequireTLS: o.Notice.Audience.Private()},
		func(to io.Writer) error { return write(io.MultiWriter(to, digest), outer) },
		func(context.Context) error {
			if o.Confirm != nil {
				if refused = o.Confirm(); refused != nil {
					return refused
				}
			}
			dotted = true
			return nil
		})
	out = disclosure.Outcome{State: outcomeState(got.State), Text: got.Text}
	if out.State == disclosure.Canceled && refused == nil && ctx.Err() == nil {
		// It could not be written: a key that expired just now, say. Trying
		// again is no use; it needs a person.
		out.State = disclosure.Rejected
	}
	switch out.State {
	case disclosure.Delivered:
		w.Stats.Sent.Add(1)
		out.Digest = hex.EncodeToString(digest.Sum(nil))
	case disclosure.Deferred:
		w.Stats.Deferred.Add(1)
	case disclosure.Rejected:
		w.Stats.Rejected.Add(1)
	case disclosure.Uncertain:
		w.Stats.Uncertain.Add(1)
		out.Digest = hex.EncodeToString(digest.Sum(nil))
	}
	return out
}

// outcomeState translates; what smtp might add later is uncertain until
// somebody looks.
func outcomeState(s smtp.State) disclosure.DeliveryState {
	switch s {
	case smtp.Sent:
		return disclosure.Delivered
	case smtp.Deferred:
		return disclosure.Deferred
	case smtp.Rejected:
		return disclosure.Rejected
	case smtp.Canceled:
		return disclosure.Canceled
	}
	return disclosure.Uncertain
}

// writer says how the notice is written for this recipient, or why it must
// not be.
func (w *Work) writer(o disclosure.Outgoing, signer *pgp.Secret) (func(io.Writer, mail.Outer) error, error) {
	n, now := o.Notice, w.c.DB.Now()
	if n.Signer == disclosure.SignedByTeam && signer == nil {
		return nil, errors.New("the team has no signing key: make or import one")
	}
	if n.Signer == disclosure.SignedByReleaser && len(n.Signature) == 0 {
		return nil, errors.New("the notice has to be signed by a releaser first")
	}
	if n.Signer != disclosure.SignedByTeam {
		signer = nil
	}
	if !n.Audience.Private() {
		if err := checkFrozen(n); err != nil {
			return nil, err
		}
		return func(to io.Writer, outer mail.Outer) error {
			return mail.WriteAnnouncement(to, outer, n.Frozen, signer, now)
		}, nil
	}
	// What is cached was checked when it was prepared, and is found by digest.
	ready, err := w.prepared.get(n, signer, func() (*mail.Notice, error) {
		if err := checkFrozen(n); err != nil {
			return nil, err
		}
		return mail.PrepareNotice(n.Frozen, n.Signature, signer, now)
	})
	if err != nil {
		return nil, err
	}
	if len(o.Recipient.Keys) == 0 {
		if !o.Recipient.ClearText {
			return nil, errors.New("there is no key to encrypt to, and clear text was not accepted")
		}
		return ready.WriteClear, nil
	}
	to, err := certificates(o.Recipient.Keys)
	if err != nil {
		return nil, err
	}
	for _, c := range to {
		if err := c.CanEncrypt(now); err != nil {
			return nil, fmt.Errorf("the recipient's key %s cannot be used: %w", c.Fingerprint(), err)
		}
	}
	return func(w io.Writer, outer mail.Outer) error { return ready.WriteEncrypted(w, outer, to, now) }, nil
}

// checkFrozen compares the bytes with the digest that was approved.
func checkFrozen(n *disclosure.Notice) error {
	if sum := sha256.Sum256(n.Frozen); len(n.Frozen) == 0 || n.Digest != hex.EncodeToString(sum[:]) {
		return errors.New("the frozen text is not the one that was approved")
	}
	return nil
}

func certificates(keys [][]byte) ([]*pgp.Certificate, error) {
	var list []*pgp.Certificate
	for _, k := range keys {
		certs, err := pgp.ParseCertificates(k)
		if err != nil {
			return nil, fmt.Errorf("read the recipient's key: %w", err)
		}
		list = append(list, certs...)
	}
	return list, nil
}

// returnPath gives the address bounces and replies come to, with the
// delivery's token in it.
func (w *Work) returnPath(o disclosure.Outgoing) (envelope, reply string, err error) {
	base := cmp.Or(w.c.From, o.From)
	a, err := mail.ParseAddress(base)
	if err != nil {
		return "", "", fmt.Errorf("our own address cannot be used: %w", err)
	}
	if o.Delivery.Token == "" {
		return a.Addr, "", nil
	}
	tokened, err := mail.TokenAddress(a.Addr, o.Delivery.Token)
	if err != nil {
		return "", "", fmt.Errorf("our own address cannot carry a token: %w", err)
	}
	if !o.Notice.Audience.Private() {
		return tokened, "", nil // answers to a public list stay there
	}
	return tokened, tokened, nil
}

func bareAddress(s string) string {
	if a, err := mail.ParseAddress(s); err == nil {
		return a.Addr
	}
	return s
}

// angled puts a Message-ID into its brackets; "" stays "".
func angled(id string) string {
	if id == "" || strings.HasPrefix(id, "<") {
		return id
	}
	return "<" + id + ">"
}

// prepared caches notices signed and compressed: once for all recipients.
type prepared struct {
	mu   sync.Mutex
	list []*preparedNotice // the last used at the end
}

type preparedNotice struct {
	key   string
	once  sync.Once
	ready *mail.Notice
	err   error
}

// keptPrepared bounds the cache; a notice may carry megabytes of patches.
const keptPrepared = 4

func (p *prepared) get(n *disclosure.Notice, signer *pgp.Secret, prepare func() (*mail.Notice, error)) (*mail.Notice, error) {
	sum := sha256.Sum256(n.Signature)
	key := n.Digest + " " + hex.EncodeToString(sum[:]) + " " + signingPrint(signer)
	e := p.entry(key)
	e.once.Do(func() { e.ready, e.err = prepare() })
	if e.err != nil {
		p.drop(key)
	}
	return e.ready, e.err
}

func (p *prepared) entry(key string) *preparedNotice {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.list {
		if e.key == key {
			p.list = append(append(p.list[:i:i], p.list[i+1:]...), e)
			return e
		}
	}
	e := &preparedNotice{key: key}
	p.list = append(p.list, e)
	if len(p.list) > keptPrepared {
		p.list = p.list[len(p.list)-keptPrepared:]
	}
	return e
}

func (p *prepared) drop(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.list {
		if e.key == key {
			p.list = append(p.list[:i:i], p.list[i+1:]...)
			return
		}
	}
}

func (p *prepared) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = nil
}
