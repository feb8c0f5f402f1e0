package work

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
)

// messages lets replies leave whose time to be taken back is over.
func (w *Work) messages(ctx context.Context) (int, error) {
	if !w.unlocked() {
		return 0, nil
	}
	for did := range batch {
		found, err := w.c.DB.SendDue(ctx, by("replies"), w.mailReply)
		if err != nil {
			return did, fmt.Errorf("send a reply: %w", err)
		}
		if !found {
			return did, nil
		}
		w.Stats.Replies.Add(1)
	}
	return batch, nil
}

// maxReply bounds what one reply carries; more is fetched from the mailbox.
const maxReply = 20 << 20

// errClear: nothing but a person's decision lets a reply travel in clear.
var errClear = errors.New("the reporter has no key that can be used, and the message may not travel unencrypted")

// mailReply sends one reply by mail: encrypted where the reporter gave a key,
// else in clear only where that was decided.
func (w *Work) mailReply(ctx context.Context, o postgres.Outbound) (err error) {
	defer func() {
		if r := recover(); r != nil {
			w.Stats.Panics.Add(1)
			w.c.Log.Error("writing a reply panicked", "message", o.Message.ID, "stack", stack())
			err = fmt.Errorf("writing the reply failed inside: %s", panicText(r))
		}
	}()
	_, signer, err := w.keys.get(ctx)
	if err != nil {
		return err
	}
	if o.Post != nil {
		return w.postReply(o, signer)
	}
	policy, from, err := w.sender(ctx)
	if err != nil {
		return err
	}
	files, err := attachments(o)
	if err != nil {
		return fmt.Errorf("%w: %w", postgres.ErrSendFailed, err)
	}
	now := w.c.DB.Now()
	outer := mail.Outer{
		From: from, To: o.To, Date: now, MessageID: w.messageID(o.MessageID, from), AutoSubmitted: mail.AutoNo,
		InReplyTo: angled(o.InReplyTo),
	}
	if outer.InReplyTo != "" {
		outer.References = []string{outer.InReplyTo}
	}
	envelope := smtp.Envelope{From: bareAddress(from), To: bareAddress(o.To)}
	if o.Token != "" {
		if outer.ReplyTo, err = mail.TokenAddress(bareAddress(from), o.Token); err != nil {
			return err
		}
		envelope.From = outer.ReplyTo
	}
	if signer != nil {
		outer.AutocryptKey = signer.Certificate().Binary()
	}
	subject := "Your report to " + policy.Project.Name
	if o.Application {
		subject = "Your request to " + policy.Project.Name
	}
	write, err := replyWriter(o, outer, subject, files, signer, w)
	if err != nil {
		return fmt.Errorf("%w: %w", postgres.ErrSendFailed, err)
	}
	envelope.RequireTLS = o.Clear && len(o.Key) == 0
	out := w.c.Sender.Send(ctx, envelope, write, nil)
	switch out.State {
	case smtp.Sent:
		return nil
	case smtp.Rejected:
		return fmt.Errorf("%w: the mail server refused it: %s", postgres.ErrSendFailed, out.Text)
	case smtp.Canceled:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: it could not be written: %s", postgres.ErrSendFailed, out.Text)
	}
	// What may have been taken is sent again with the same Message-ID.
	return fmt.Errorf("the mail server did not take it: %s", out.Text)
}

// postReply puts a reply into the mailbox of a reporter who gave a key: text
// and files are messages encrypted to it, inside what the mailbox seals anyway.
// A key that ran out is no reason to leave them without an answer, since the
// mailbox keeps it from everybody else; the case's history says so.
func (w *Work) postReply(o postgres.Outbound, signer *pgp.Secret) error {
	files, err := attachments(o)
	if err != nil {
		return fmt.Errorf("%w: %w", postgres.ErrSendFailed, err)
	}
	item := disclosure.MailboxItem{Text: o.Message.Text}
	now := w.c.DB.Now()
	to, why := usable(o.Key, now)
	for _, f := range files {
		item.Files = append(item.Files, disclosure.MailboxFile{Name: f.Name, Bytes: append([]byte{}, f.Bytes...)})
	}
	if why != nil {
		return o.Post(item, "Sealed to the reporter's mailbox alone: "+why.Error())
	}
	encrypt := func(b []byte) ([]byte, error) {
		var out bytes.Buffer
		err := encryptTo(to, signer, now)(b, &out)
		return out.Bytes(), err
	}
	text, err := encrypt([]byte(item.Text))
	if err != nil {
		return fmt.Errorf("%w: encrypt to the reporter's key: %w", postgres.ErrSendFailed, err)
	}
	item.Text, item.Encrypted = string(text), true
	for i := range item.Files {
		f := &item.Files[i]
		if f.Bytes, err = encrypt(f.Bytes); err != nil {
			return fmt.Errorf("%w: encrypt a file to the reporter's key: %w", postgres.ErrSendFailed, err)
		}
		f.Name, f.Type = f.Name+".asc", "application/pgp-encrypted"
	}
	return o.Post(item, "")
}

// usable are the certificates among key that can be encrypted to now, or why
// none can.
func usable(key []byte, now time.Time) ([]*pgp.Certificate, error) {
	all, err := pgp.ParseCertificates(key)
	if err != nil {
		return nil, fmt.Errorf("read the reporter's key: %w", err)
	}
	var good []*pgp.Certificate
	for _, c := range all {
		if wrong := c.CanEncrypt(now); wrong != nil {
			err = wrong
			continue
		}
		good = append(good, c)
	}
	if len(good) == 0 {
		return nil, cmp.Or(err, errClear)
	}
	return good, nil
}

func replyWriter(o postgres.Outbound, outer mail.Outer, subject string, files []mail.Part, signer *pgp.Secret, w *Work) (func(io.Writer) error, error) {
	now := outer.Date
	if len(o.Key) > 0 {
		to, err := usable(o.Key, now)
		if err != nil {
			return nil, err // one who gave a key is never written to in clear
		}
		return func(w io.Writer) error {
			return mail.WriteEncryptedText(w, outer, subject, o.Message.Text, files, encryptTo(to, signer, now))
		}, nil
	}
	if !o.Clear {
		return nil, errClear
	}
	outer.Subject = subject
	if signer == nil && len(files) == 0 {
		return func(w io.Writer) error { return mail.WriteText(w, outer, o.Message.Text) }, nil
	}
	if signer == nil {
		return nil, errors.New("files can be mailed in clear only under a signature, and the team has no signing key")
	}
	entity, err := mail.SignedEntity(outer, o.Message.Text, files)
	if err != nil {
		return nil, err
	}
	return func(to io.Writer) error {
		return mail.WriteSigned(to, outer, entity, func(b []byte) ([]byte, string, error) { return pgp.DetachSign(b, signer, now) })
	}, nil
}

// attachments opens the reply's files, whose names are made fit for a header.
func attachments(o postgres.Outbound) ([]mail.Part, error) {
	var parts []mail.Part
	names := map[string]bool{}
	left := int64(maxReply)
	for i, f := range o.Files {
		if left -= f.Size; left < 0 {
			return nil, fmt.Errorf("the files of one mail may have %d MiB together", maxReply>>20)
		}
		var b bytes.Buffer
		if err := o.OpenFile(f.ID, &b); err != nil {
			return nil, fmt.Errorf("open a file of the reply: %w", err)
		}
		name := attachmentName(f.Label)
		if name == "" || names[strings.ToLower(name)] {
			name = fmt.Sprintf("file-%d%s", i+1, path.Ext(name))
		}
		names[strings.ToLower(name)] = true
		parts = append(parts, mail.Part{Name: name, Bytes: b.Bytes()})
	}
	return parts, nil
}

// attachmentName keeps letters, digits, dot, dash and underline.
func attachmentName(label string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'):
			return r
		}
		return '_'
	}, label)
	name = strings.TrimLeft(name, "._-")
	return name[:min(len(name), 100)]
}
