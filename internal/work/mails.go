package work

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
)

// mail reads a mail as it was received: whose it is, whether it says what
// became of one of ours, and what it says.
func (r *reader) mail(ctx context.Context, in mail.Input) error {
	raw := make([]byte, min(in.Size, maxAhead))
	if _, err := in.R.ReadAt(raw, 0); err != nil && err != io.EOF {
		return r.faulty(err)
	}
	claim, rcpt, err := r.claim(ctx, raw)
	if err != nil {
		return err
	}
	m, err := r.twice(func(ring pgp.Ring) (*mail.Message, error) {
		return r.w.c.Parse.Mail(ctx, in, ring, r.w.c.DB.Now(), r.w.c.Limits)
	})
	if err != nil {
		return err
	}
	r.title = meaningfulSubject(m.Subject)
	r.name, r.address = sender(m)
	r.mailID = m.Outer.MessageID
	r.checked = checked(m, r.w.c.AuthServ)
	r.message(m)
	if b, ok := mail.ReadBounce(raw, rcpt); ok {
		if !claim.Known {
			if claim, err = r.returned(ctx, b); err != nil {
				return err
			}
		}
		r.bounced(b, claim)
		return nil
	}
	if r.a.From != nil || claim.Known {
		return nil
	}
	policy, _, err := r.w.sender(ctx)
	if err != nil {
		return ours{err}
	}
	if r.applies = policy.TakesApplications("mail") && isApplication(m.Subject, policy.Membership.Subject); r.applies {
		r.title = firstLine(r.text.String()) // the subject is everybody's
	}
	if !m.Automatic.Is() && r.fromSomebody() {
		r.receipt = &receipt{to: r.address, inReplyTo: m.Outer.MessageID, applies: r.applies}
	}
	return nil
}

// maxAhead is how much of a mail is looked at before it is read: its header,
// and of a notification the parts that say what became of which mail.
const maxAhead = 1 << 20

// fromSomebody is false for mail with the null return path, which nothing may
// answer (RFC 3834 §2).
func (r *reader) fromSomebody() bool {
	if r.address == "" {
		return false
	}
	e := r.a.Header.Envelope
	return e == nil || r.a.Channel == disclosure.ByFetch || e.From != ""
}

// maxClaims bounds how many tokens of one mail are looked up.
const maxClaims = 10

// claim finds the lane a mail belongs to by the token in an address of ours it
// was sent to. rcpt is that address, for reading a bounce.
func (r *reader) claim(ctx context.Context, raw []byte) (claim postgres.Claim, rcpt string, err error) {
	var to []string
	if e := r.a.Header.Envelope; e != nil {
		to = e.To
	}
	h := mail.ReadHeader(raw)
	to = append(to[:len(to):len(to)], strings.Split(h.To, ",")...)
	if b, ok := mail.ReadBounce(raw, ""); ok && b.Token != "" {
		to = append(to, "bounce+"+b.Token+"@localhost")
	}
	tried := 0
	for _, addr := range to {
		token, ok := mail.FindToken(addr)
		if !ok || tried == maxClaims {
			continue
		}
		tried++
		c, err := r.a.Claim(ctx, token)
		if err != nil {
			return claim, rcpt, ours{fmt.Errorf("look a token up: %w", err)}
		}
		if c.Known {
			return c, addr, nil
		}
	}
	if len(to) > 0 {
		rcpt = to[0]
	}
	return claim, rcpt, nil
}

// returned finds a mail of ours by the Message-ID that a notification
// returned, for providers that refuse foreign return paths and drop the rest.
func (r *reader) returned(ctx context.Context, b mail.Bounce) (postgres.Claim, error) {
	for _, id := range b.MessageIDs {
		c, err := r.a.ClaimReturned(ctx, id)
		if err != nil {
			return c, ours{fmt.Errorf("look a returned Message-ID up: %w", err)}
		}
		if c.Known {
			return c, nil
		}
	}
	return postgres.Claim{}, nil
}

// maxChecked bounds what is shown of one mail server's findings.
const maxChecked = 10

// checked is what the mail server of that name found about the sender, as it
// wrote it. It decides nothing.
func checked(m *mail.Message, server string) []string {
	var list []string
	for _, x := range m.AuthenticationResults(server) {
		words := cleanTitle(strings.TrimSpace(x.Method + "=" + x.Result + " " + x.Detail))
		if words != "" && len(list) < maxChecked {
			list = append(list, words)
		}
	}
	return list
}

// bounced notes what a notification says about a mail of ours. One that names
// none stays an ordinary arrival: anybody can write a notification.
func (r *reader) bounced(b mail.Bounce, claim postgres.Claim) {
	var words []string
	for _, x := range b.Recipients {
		words = append(words, strings.TrimSpace(x.Action+" "+x.Status+" "+x.Detail))
	}
	text := strings.Join(words, "; ")
	if text == "" {
		text = firstLine(r.text.String())
	}
	failed := b.Failed() || len(b.Recipients) == 0
	switch {
	case claim.Delivery != "":
		r.bounce = &postgres.Bounce{Delivery: claim.Delivery, Failed: failed, Text: text}
	case claim.Known && failed && r.a.From == nil && claim.Case != "":
		r.bounce = &postgres.Bounce{Case: claim.Case, Failed: true, Text: text}
	case claim.Known && failed && r.a.From == nil && claim.Application != "":
		r.bounce = &postgres.Bounce{Application: claim.Application, Failed: true, Text: text}
	case claim.Known && failed:
		r.problem("A mail of ours in this lane came back: " + text)
	}
}

// sender is who a mail says it is from. It is not proven.
func sender(m *mail.Message) (name, address string) {
	address = m.Outer.FromAddress
	if a, err := mail.ParseAddress(m.Outer.From); err == nil {
		name = a.Name
	}
	return cleanTitle(name), address
}

// receipt is the fixed answer to one mail.
type receipt struct {
	to        string
	inReplyTo string
	applies   bool // to an application
}

// acknowledge sends the fixed answer, at most once an address and day. That it
// could not be sent is no reason to do anything again.
func (w *Work) acknowledge(ctx context.Context, r receipt) {
	err := func() error {
		may, err := w.c.DB.MayAcknowledge(ctx, by("receipts"), r.to)
		if err != nil || !may {
			return err
		}
		policy, from, err := w.sender(ctx)
		if err != nil {
			return err
		}
		if strings.EqualFold(bareAddress(from), bareAddress(r.to)) {
			return nil // our own
		}
		answer := letters.Answer{Project: policy.Project, Contact: policy.Contact.Address, URL: w.c.GateURL, Ack: policy.Ack.Within.Words()}
		write := w.c.Letters.Receipt
		if r.applies {
			answer.Ack, answer.List, write = policy.Membership.Decide.Words(), policy.Announce.Address, w.c.Letters.ApplicationReceipt
		}
		letter, err := write(policy.Project.Language, answer)
		if err != nil {
			return err
		}
		outer := mail.Outer{
			From: from, To: r.to, Date: w.c.DB.Now(), MessageID: w.messageID("", from), Subject: letter.Subject,
			InReplyTo: r.inReplyTo, AutoSubmitted: mail.AutoReplied,
		}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		// The null return path: no answer to this answer (RFC 3834 §3.3).
		out := w.c.Sender.Send(ctx, smtp.Envelope{To: bareAddress(r.to)}, func(to io.Writer) error {
			return mail.WriteText(to, outer, letter.Text)
		}, nil)
		if out.State != smtp.Sent {
			return fmt.Errorf("the mail server answered with %d", out.Code)
		}
		return nil
	}()
	if err != nil && !quiet(err) {
		w.c.Log.Warn("the fixed answer to a mail was not sent", "error", err)
	}
}
