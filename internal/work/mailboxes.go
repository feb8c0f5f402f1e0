package work

import (
	"context"
	"fmt"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/pgp"
)

// mailboxes puts notices to reporters where those without an address read them.
func (w *Work) mailboxes(ctx context.Context) (int, error) {
	if !w.unlocked() {
		return 0, nil
	}
	n, err := w.c.DB.TellMailboxes(ctx, by("mailboxes"))
	if err != nil {
		return n, fmt.Errorf("tell the mailboxes: %w", err)
	}
	return n, nil
}

// signedReceipt is what we attest of an arrival that came to a mailbox: digest
// and the gate's time, signed by the team. Empty where there is nobody to
// receive it, or no key to sign with; that is no reason to do anything again.
func (r *reader) signedReceipt(ctx context.Context) string {
	h := r.a.Header
	if h.Mailbox == "" || h.SHA256 == "" {
		return ""
	}
	text, err := func() ([]byte, error) {
		_, signer, err := r.w.keys.get(ctx)
		if err != nil || signer == nil {
			return nil, err
		}
		policy, err := r.w.c.DB.CurrentPolicy(ctx)
		if err != nil {
			return nil, err
		}
		x := letters.Received{Project: policy.Project, Received: r.a.Received, Way: r.a.Channel.Word(), SHA256: h.SHA256}
		for _, p := range h.Parts {
			if p.Kind == disclosure.PartFile {
				x.Files = append(x.Files, letters.ReceivedFile{Place: len(x.Files) + 1, Size: p.Size, SHA256: p.SHA256})
			}
		}
		letter, err := r.w.c.Letters.SignedReceipt(h.Language, x)
		if err != nil {
			return nil, err
		}
		return pgp.ClearSign([]byte(letter.Text), signer, r.w.c.DB.Now())
	}()
	if err != nil && !quiet(err) {
		r.w.c.Log.Warn("a receipt could not be signed", "arrival", r.a.ID, "error", err)
	}
	return string(text)
}

// keyPrint is the fingerprint of the certificate that came along; empty when
// there is none that can be read.
func keyPrint(certificate []byte) string {
	if len(certificate) == 0 {
		return ""
	}
	certs, err := pgp.ParseCertificates(certificate)
	if err != nil {
		return ""
	}
	return certs[0].Fingerprint()
}

// wishWords says in a sentence what the forms of a mailbox asked for.
func wishWords(h disclosure.ArrivalHeader, a disclosure.Answer) string {
	switch a.Ask {
	case disclosure.AnswerCredit:
		switch h.Credit {
		case disclosure.CreditYes:
			return "The reporter wishes to be named as: " + h.CreditText
		case disclosure.CreditNo:
			return "The reporter does not wish to be named."
		}
		return "The reporter has not decided about being named."
	case disclosure.AnswerKey:
		return "The reporter gave a key, to which answers can be encrypted."
	case disclosure.AnswerWithdraw:
		return "The reporter withdraws the report."
	case disclosure.AnswerInvite:
		return "The reporter made a mailbox."
	}
	return ""
}
