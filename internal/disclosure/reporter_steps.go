package disclosure

import (
	"slices"
	"time"
)

// What a reporter asked for through the mailbox. These are steps of work on
// the reporter's behalf: only who holds the code reaches them, and each is a
// line of the history that names them.

const eventReporter = "the reporter"

// AskCredit takes the reporter's own answer about credit, with the exact text.
// Once the advisory is public it changes nothing any more; then a member has
// to look.
func (c *Case) AskCredit(id ReporterID, wish CreditWish, text string, by Caller, now time.Time) error {
	if !by.IsSystem() {
		return ErrForbidden
	}
	if c.State == Disclosed || c.Merged != "" {
		return c.SetAttention("A reporter changed their wish about credit; the advisory is public already.", by, now)
	}
	return c.SetCredit(id, wish, text, System(eventReporter), now)
}

// SetReporterKey notes the OpenPGP certificate that answers to a reporter are
// encrypted to, with its fingerprint as pages show it. Given by the reporter
// it comes with by being work; a member may accept one as well.
func (c *Case) SetReporterKey(id ReporterID, certificate []byte, fingerprint string, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	r := c.Reporter(id)
	switch {
	case r == nil:
		return ErrNotFound
	case len(certificate) == 0:
		return Refuse("key", "Give the reporter's armored public key.")
	}
	if by.IsSystem() {
		by = System(eventReporter)
	}
	r.Key, r.KeyPrint = slices.Clone(certificate), fingerprint
	c.record(EventEdited, by, now, "Key of %s: %s", r.Label(), fingerprint)
	return nil
}

// AskWithdraw notes that a reporter withdrew the report. Nothing is closed by
// it: a member decides, since the flaw may be real all the same.
func (c *Case) AskWithdraw(id ReporterID, reason string, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	r := c.Reporter(id)
	if r == nil {
		return ErrNotFound
	}
	if !r.Withdrawn.IsZero() {
		return nil
	}
	r.Withdrawn = now
	text := r.Label() + " withdrew the report"
	var refusal *Refusal
	if reason = clean(&refusal, "reason", reason, maxNote); reason != "" && refusal == nil {
		text += ": " + reason
	}
	c.record(EventArrived, System(eventReporter), now, "%s", text)
	c.alert(AlertAttention, c.ref())
	return nil
}

// GiveMailbox attaches the mailbox that a reporter made by a member's
// invitation. Work alone may do it.
func (c *Case) GiveMailbox(id ReporterID, box MailboxID, by Caller, now time.Time) error {
	if !by.IsSystem() {
		return ErrForbidden
	}
	r := c.Reporter(id)
	if r == nil {
		return ErrNotFound
	}
	r.Mailbox = box
	c.record(EventArrived, System(eventReporter), now, "%s opened a mailbox by our invitation", r.Label())
	c.alert(AlertMessage, c.ref())
	return nil
}

// Cite notes which page of the documentation a verdict rests on; empty forgets
// it. Call it before Close.
func (c *Case) Cite(page string, by Caller) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	var r *Refusal
	page = cleanLine(&r, "cited", page)
	if err := r.Err(); err != nil {
		return err
	}
	c.Cited = page
	return nil
}

// forgetDate: what the reporters were told of the hour holds no more, and must
// not stand for the hour of another plan. They are told that one anew.
func (c *Case) forgetDate() {
	for i := range c.Reporters {
		c.Reporters[i].ToldDate = time.Time{}
	}
}
