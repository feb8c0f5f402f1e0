package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// storeArrival makes of an opened arrival a case, an entry of a lane, or a note
// at the mail of ours that came back, and wraps its key anew.
func (t *tx) storeArrival(ctx context.Context, a *Arrival, o Opened) error {
	switch {
	case a.emptyInvitation() && o.Attention == "":
		return t.setAside(ctx, a, "invitation-unknown")
	case o.Bounce != nil:
		return t.storeBounce(ctx, a, *o.Bounce)
	case a.From == nil && a.claim.Release != "":
		return t.storeAnswer(ctx, a, o)
	}
	a.ciphers, a.closed = o.Ciphertexts, o.Protection.Encryption == disclosure.Unopened
	if same, err := t.sameMail(ctx, a, o.MailID); same || err != nil {
		return err
	}
	o = completed(a, o)
	if a.applies || a.application != nil {
		return t.storeApplication(ctx, a, o)
	}
	again, err := t.seenBefore(ctx, a)
	if err != nil {
		return err
	}
	if again == "" {
		if again, err = t.seenCipher(ctx, a); err != nil {
			return err
		}
		if again != "" {
			o.Attention = strings.TrimSpace(o.Attention + " " + again + " Somebody may have sent on what another wrote: quote nothing of it in an answer.")
		}
	}
	c, insert, err := t.caseFor(ctx, a, &o)
	if err != nil {
		return err
	}
	if err := t.takeWishes(a, c, o); err != nil {
		return err
	}
	files := make([]disclosure.FileID, 0, len(a.files))
	for _, f := range a.files {
		files = append(files, f.ID)
		if err := c.AddFile(f, t.by, t.now); err != nil {
			return err
		}
	}
	if o.Attention != "" {
		if err := c.SetAttention(clip(o.Attention, 1000), t.by, t.now); err != nil {
			return err
		}
	}
	if insert {
		err = t.insertCase(ctx, c, a.wrapped)
	} else {
		err = t.saveCaseAs(ctx, c, true)
	}
	if err != nil {
		return err
	}
	if again != "" {
		if err := t.recordEvent(ctx, c, disclosure.EventArrived, again); err != nil {
			return err
		}
	}
	_, err = t.addMessage(ctx, storedMessage{mailID: o.MailID, Message: disclosure.Message{
		ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(a.From.ID)},
		State: disclosure.MessageIn, At: a.Received, Author: a.From.Label(), Text: clip(o.Text, 4<<20), Files: files,
		Arrival: a.ID, Protection: o.Protection, Checked: o.Checked,
	}})
	if err != nil {
		return err
	}
	if err := t.noteInMailbox(ctx, a, a.From.Mailbox, o); err != nil {
		return err
	}
	return t.closeArrival(ctx, a, owner{Case: c.ID})
}

// completed fills what the callback left to the header.
func completed(a *Arrival, o Opened) Opened {
	if o.Name == "" {
		o.Name = a.Header.Name
	}
	if o.Address == "" {
		o.Address = a.Header.Address
	}
	if len(o.Key) == 0 {
		o.Key = a.Header.Key
	}
	for _, title := range []string{o.Title, a.Header.Title, firstLine(o.Text), "Report by " + a.Channel.Word()} {
		if o.Title = clip(strings.Join(strings.Fields(strings.ToValidUTF8(title, "?")), " "), 150); o.Title != "" {
			break
		}
	}
	return o
}

func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}

// clip cuts at a character's boundary.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
		s = s[:len(s)-1]
	}
	return s
}

// caseFor is the case of a known sender, or a new one with its first reporter.
func (t *tx) caseFor(ctx context.Context, a *Arrival, o *Opened) (c *disclosure.Case, insert bool, err error) {
	if a.found != nil {
		if a.From == nil {
			return nil, false, errors.New("the reporter is no longer in the case")
		}
		return a.found, false, a.found.NoteArrival(a.From.Label(), a.Channel, t.by, t.now)
	}
	id, err := a.caseID()
	if err != nil {
		return nil, false, err
	}
	policy, err := t.db.currentPolicy(ctx, t)
	if err != nil {
		return nil, false, err
	}
	n, err := t.nextNumber(ctx)
	if err != nil {
		return nil, false, err
	}
	c = disclosure.NewCase(id, n, a.Channel, o.Protection, a.Received, policy)
	if err := c.SetTitle(o.Title, t.by, t.now); err != nil {
		c.Title = "Report by " + a.Channel.Word() // a title nobody can show is no reason to lose a report
	}
	box, err := t.newMailbox(ctx, a)
	if err != nil {
		return nil, false, err
	}
	r := disclosure.Reporter{
		ID: disclosure.ReporterID(disclosure.NewID()), Arrival: a.ID, Received: a.Received, Channel: a.Channel,
		Name: o.Name, Address: o.Address, Mailbox: box, Key: o.Key, KeyPrint: o.KeyPrint, Protected: o.Protection, Language: a.Header.Language,
	}
	if a.Header.Credit != disclosure.CreditUnset {
		text, err := disclosure.CleanCredit(a.Header.CreditText)
		if err == nil {
			r.Credit = disclosure.Credit{Wish: a.Header.Credit, Text: text, By: "the reporter", At: a.Received}
		} else {
			o.Attention = strings.TrimSpace(o.Attention + " The wish about credit cannot be taken as it was given: " + fmt.Sprintf("%+q.", clip(a.Header.CreditText, 200)))
		}
	}
	err = c.AddReporter(r, t.by, t.now)
	var refusal *disclosure.Refusal
	if errors.As(err, &refusal) {
		// What was typed as name or address cannot be used as one; it stays readable.
		o.Attention = strings.TrimSpace(o.Attention + " The sender's name or address cannot be used as it was given: " +
			fmt.Sprintf("%q, %q.", clip(r.Name, 200), clip(r.Address, 200)))
		r.Name, r.Address = "", ""
		err = c.AddReporter(r, t.by, t.now)
	}
	if err != nil {
		return nil, false, err
	}
	a.From = c.Reporter(r.ID)
	return c, true, nil
}

// newMailbox keeps the public half that came with a report. One that cannot be
// sealed to is left out: the report counts, not the mailbox.
func (t *tx) newMailbox(ctx context.Context, a *Arrival) (disclosure.MailboxID, error) {
	if a.Header.Mailbox == "" {
		return "", nil
	}
	if _, err := vault.SealToMailbox(a.Header.MailboxPublic, "", nil); err != nil {
		return "", nil
	}
	_, err := t.Exec(ctx, `INSERT INTO mailbox (id, kind, public, created) VALUES ($1, 'reporter', $2, $3) ON CONFLICT DO NOTHING`,
		a.Header.Mailbox, a.Header.MailboxPublic, t.now)
	if err != nil {
		return "", fmt.Errorf("keep a mailbox: %w", err)
	}
	return a.Header.Mailbox, nil
}

// closeArrival wraps the arrival's key under its case's or application's key
// (the desk key when it has none), and erases the copy that only the vault opens.
func (t *tx) closeArrival(ctx context.Context, a *Arrival, of owner) error {
	k, ok := t.keys[of.id()]
	if of.id() == "" {
		var err error
		if k, err = t.db.deskKey(); err != nil {
			return err
		}
	} else if !ok {
		return errors.New("close an arrival: the key of its case was not opened")
	}
	wrapped := k.Wrap(t.db.aad("arrival", "wrapped_key", string(a.ID), of.id(), 1), a.key)
	mac, err := t.db.digestMAC(a.Header.SHA256)
	if err != nil {
		return err
	}
	macs, err := t.db.cipherMACs(a.ciphers)
	if err != nil {
		return err
	}
	if mac != nil {
		macs = append(macs, mac)
	}
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE arrival SET opened = $2, encapsulation = NULL, wrapped_key = $3, case_id = nullif($4, ''), application = nullif($5, ''), unopened = $6 WHERE id = $1`,
		a.ID, t.now, wrapped, of.Case, of.Application, a.closed)
	if a.closed { // a key that was stored meanwhile did not see it
		batch.Queue(`UPDATE arrival SET again = $2 WHERE id = $1 AND EXISTS (SELECT FROM team_key WHERE created > $2::timestamptz - interval '1 minute')`, a.ID, t.now)
	}
	for _, mac := range macs {
		batch.Queue(`INSERT INTO arrival_seen (mac, arrival) VALUES ($1, $2) ON CONFLICT DO NOTHING`, mac, a.ID)
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("close an arrival: %w", err)
	}
	t.note("arrival.opened", string(a.ID), nil)
	return nil
}

// seenBefore says where the same bytes came before; a restricted case is not
// named. Empty: nowhere.
func (t *tx) seenBefore(ctx context.Context, a *Arrival) (string, error) {
	mac, err := t.db.digestMAC(a.Header.SHA256)
	if err != nil || mac == nil {
		return "", err
	}
	where, found, err := t.seen(ctx, [][]byte{mac})
	if !found || err != nil {
		return "", err
	}
	return "The same bytes came before" + where, nil
}

// seenCipher says where an encrypted message came before that came again in
// another wrapping.
func (t *tx) seenCipher(ctx context.Context, a *Arrival) (string, error) {
	macs, err := t.db.cipherMACs(a.ciphers)
	if err != nil || len(macs) == 0 {
		return "", err
	}
	where, found, err := t.seen(ctx, macs)
	if !found || err != nil {
		return "", err
	}
	return "An encrypted message in it came before" + where, nil
}

// seen finds the first that had one of the digests: ", in #41." or ".".
func (t *tx) seen(ctx context.Context, macs [][]byte) (where string, found bool, err error) {
	var number *int
	var restricted *bool
	err = t.QueryRow(ctx, `SELECT c.number, c.restricted FROM arrival_seen s JOIN arrival a ON a.id = s.arrival
		LEFT JOIN cases c ON c.id = a.case_id WHERE s.mac = ANY($1) ORDER BY a.received LIMIT 1`, macs).Scan(&number, &restricted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("look for the same bytes: %w", err)
	case number == nil || *restricted:
		return ".", true, nil
	}
	return fmt.Sprintf(", in #%d.", *number), true, nil
}

// sameMail takes a mail that came a second time, byte for byte and by its own
// Message-ID, to the case or application that the first began: whoever sent it did not hear
// that it was taken, and tried again. It is kept, and makes no other case.
func (t *tx) sameMail(ctx context.Context, a *Arrival, id string) (bool, error) {
	mac, err := t.db.digestMAC(a.Header.SHA256)
	if err != nil || mac == nil || id == "" || a.Kind != disclosure.ArrivalMail || a.From != nil {
		return false, err
	}
	var first owner
	err = t.QueryRow(ctx, `SELECT coalesce(a.case_id, ''), coalesce(a.application, '') FROM arrival_seen s JOIN arrival a ON a.id = s.arrival
		WHERE s.mac = $1 AND a.kind = $2 AND coalesce(a.case_id, a.application) IS NOT NULL ORDER BY a.received, a.id LIMIT 1`, mac, a.Kind).
		Scan(&first.Case, &first.Application)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the same mail: %w", err)
	}
	if first.Application != "" {
		x, err := t.loadApplication(ctx, first.Application, true)
		if err != nil {
			return false, err
		}
		if x.State == disclosure.ApplicationReport { // made one meanwhile
			first = owner{Case: disclosure.CaseID(x.ID)}
		}
	}
	if first.Case != "" {
		if _, err := t.lockCase(ctx, first.Case); err != nil {
			return false, err
		}
	}
	if _, err := t.Exec(ctx, `DELETE FROM file WHERE arrival = $1`, a.ID); err != nil {
		return false, fmt.Errorf("drop the files of a mail that came again: %w", err)
	}
	if err := t.recordAbout(ctx, first, disclosure.EventArrived, "The same mail came again, byte for byte"); err != nil {
		return false, err
	}
	return true, t.closeArrival(ctx, a, first)
}

// setAside keeps an arrival that makes no case, as it came and no more.
func (t *tx) setAside(ctx context.Context, a *Arrival, why string) error {
	if _, err := t.Exec(ctx, `DELETE FROM file WHERE arrival = $1`, a.ID); err != nil {
		return fmt.Errorf("set an arrival aside: %w", err)
	}
	t.note("arrival."+why, string(a.ID), nil)
	return t.closeArrival(ctx, a, owner{})
}

// storeBounce notes it at the delivery first, in a transaction of its own:
// done twice it changes nothing more, left out it would be lost.
func (t *tx) storeBounce(ctx context.Context, a *Arrival, b Bounce) error {
	if b.Failed && b.Delivery == "" {
		return t.bouncedAnswer(ctx, a, b)
	}
	if b.Failed {
		err := t.db.Bounced(ctx, b.Delivery, clip(b.Text, 1000))
		if errors.Is(err, disclosure.ErrNotFound) { // of no mail that is known: somebody has to look
			a.claim = Claim{}
			return t.storeArrival(ctx, a, Opened{
				Title: "A mail of ours came back", Text: clip(b.Text, 1000),
				Attention: "It says that a mail of ours came back, but not which. The original is kept.",
			})
		}
		if err != nil {
			return err
		}
	}
	return t.setAside(ctx, a, "bounce")
}

// bouncedAnswer has a member look: an answer to a reporter did not arrive.
func (t *tx) bouncedAnswer(ctx context.Context, a *Arrival, b Bounce) error {
	why := clip("An answer of ours came back: "+b.Text, 1000)
	if b.Application != "" {
		x, err := t.loadApplication(ctx, b.Application, true)
		if err != nil {
			return err
		}
		if x.State != disclosure.ApplicationReport {
			if err := x.SetAttention(why, t.by, t.now); err != nil {
				return err
			}
			if err := t.saveApplication(ctx, x); err != nil {
				return err
			}
			return t.setAside(ctx, a, "bounce")
		}
		b.Case = disclosure.CaseID(b.Application) // it was made one meanwhile
	}
	c, err := t.lockCase(ctx, b.Case)
	if err != nil {
		return err
	}
	if err := c.SetAttention(why, t.by, t.now); err != nil {
		return err
	}
	if err := t.saveCaseAs(ctx, c, true); err != nil {
		return err
	}
	return t.setAside(ctx, a, "bounce")
}

// storeAnswer keeps what a distributor answered, in that distributor's lane of
// the release. As with a bounce, the delivery's row comes first.
func (t *tx) storeAnswer(ctx context.Context, a *Arrival, o Opened) error {
	release := a.claim.Release
	if err := t.db.Answered(ctx, a.claim.Delivery); err != nil && !errors.Is(err, disclosure.ErrNotFound) {
		return err
	}
	files := make([]disclosure.FileID, 0, len(a.files))
	for _, f := range a.files {
		files = append(files, f.ID)
	}
	_, err := t.addMessage(ctx, storedMessage{release: release, mailID: o.MailID, Message: disclosure.Message{
		ID: disclosure.MessageID(disclosure.NewID()), Lane: a.claim.Lane, State: disclosure.MessageIn, At: a.Received,
		Author: o.Address, Text: clip(o.Text, 4<<20), Files: files, Arrival: a.ID, Protection: o.Protection,
	}})
	if err != nil {
		return err
	}
	t.note("release.answered", string(release), nil)
	if err := t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertMessage, Ref: "/releases/" + string(release)}}, ""); err != nil {
		return err
	}
	return t.closeArrival(ctx, a, owner{})
}
