package desk

import (
	"postern/internal/disclosure"
	"postern/internal/pgp"
	pages "postern/web/desk"
)

// openWith opens a message with the passphrase a member types. It is handed on
// within the process, while the member waits, and kept nowhere.
func (d *Desk) openWith(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	id := v.PostFormValue(pages.FieldMessage)
	err = d.c.OpenWith(v.Context(), v.by, disclosure.MessageID(id), []byte(v.PostFormValue(pages.FieldPass)))
	if err == nil {
		return v.flash(pages.CasePath(c.Number), "opened")
	}
	return d.caseAgain(v, c, inForm(err, "open-with-"+id), func(*pages.CaseView) {})
}

// needsPassphrase reports whether a passphrase would open a message.
func needsPassphrase(m disclosure.Message) bool { return pgp.NeedsPassphrase(m.Protection.Problem) }
