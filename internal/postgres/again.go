package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// What could not be opened when it came can be opened later, once a key was
// imported, or be supplied by a member who can read it.

// TryAgain asks work to open once more the arrival that a message came with.
// Asking twice asks once.
func (db *DB) TryAgain(ctx context.Context, by disclosure.Caller, id disclosure.MessageID) error {
	return db.withMessage(ctx, by, id, func(t *tx, c *disclosure.Case, m storedMessage) error {
		if _, err := t.Exec(ctx, `UPDATE arrival SET again = $2, again_asked = true WHERE id = $1 AND opened IS NOT NULL`, m.Arrival, t.now); err != nil {
			return fmt.Errorf("ask for arrival %s to be opened again: %w", m.Arrival, err)
		}
		t.note("case.try-again", string(c.ID), nil)
		return t.recordEvent(ctx, c, disclosure.EventNote, "Asked for a message to be opened again")
	})
}

// SupplyText keeps what a member says a message that could not be opened says.
// It stands beside the message, under the member's name, and proves nothing:
// the protection stays what was found. A later one replaces it; the history
// names both.
func (db *DB) SupplyText(ctx context.Context, by disclosure.Caller, id disclosure.MessageID, text string) error {
	text, err := checkText(text)
	if err != nil {
		return err
	}
	return db.withMessage(ctx, by, id, func(t *tx, c *disclosure.Case, m storedMessage) error {
		if m.Protection.Encryption != disclosure.Unopened {
			return disclosure.Refuse("text", "This message was opened: what it says is there.")
		}
		m.Supplied = &disclosure.Supplied{Text: text, By: by.Name, At: t.now}
		if err := t.saveMessage(ctx, m); err != nil {
			return err
		}
		if err := c.SetAttention("", by, t.now); err != nil {
			return err
		}
		if err := t.saveCase(ctx, c); err != nil {
			return err
		}
		t.note("case.text-supplied", string(c.ID), nil)
		return t.recordEvent(ctx, c, disclosure.EventEdited, "Supplied the text of a message that could not be opened")
	})
}

// withMessage runs f with a message that came from outside, its case locked.
func (db *DB) withMessage(ctx context.Context, by disclosure.Caller, id disclosure.MessageID, f func(*tx, *disclosure.Case, storedMessage) error) error {
	if !by.Can(disclosure.Triager) {
		return disclosure.ErrForbidden
	}
	var owner *disclosure.CaseID
	err := db.pool.QueryRow(ctx, `SELECT case_id FROM message WHERE id = $1 AND state = 'in' AND arrival IS NOT NULL`, id).Scan(&owner)
	if err != nil {
		return fmt.Errorf("find the message: %w", unavailable(notFound(err)))
	}
	if owner == nil {
		return disclosure.ErrNotFound
	}
	return db.withCase(ctx, by, *owner, func(t *tx, c *disclosure.Case) error {
		m, err := t.theMessage(ctx, `m.id = $1 AND m.case_id = $2`, id, *owner)
		if err != nil {
			return err
		}
		return f(t, c, m)
	})
}

// theMessage reads the one a condition names; the key of its owner is in t.keys.
func (t *tx) theMessage(ctx context.Context, where string, args ...any) (storedMessage, error) {
	rows, err := t.Query(ctx, `SELECT `+messageColumns+` FROM message m WHERE `+where+` ORDER BY m.at LIMIT 1 FOR UPDATE`, args...)
	if err != nil {
		return storedMessage{}, fmt.Errorf("read a message: %w", err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, t.scanMessage)
	if err != nil {
		return m, fmt.Errorf("read a message: %w", notFound(err))
	}
	return m, nil
}

// saveMessage writes anew what is sealed of a message.
func (t *tx) saveMessage(ctx context.Context, m storedMessage) error {
	sealed, err := t.sealMessage(m)
	if err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE message SET sealed = $2 WHERE id = $1`, m.ID, sealed); err != nil {
		return fmt.Errorf("store a message: %w", err)
	}
	return nil
}

// errStill: it could not be opened this time either.
var errStill = errors.New("it still cannot be opened")

// tryAllAgain has everything opened once more that could not be opened: a key
// has come that may do it.
func (t *tx) tryAllAgain(ctx context.Context) error {
	if _, err := t.Exec(ctx, `UPDATE arrival SET again = $1 WHERE unopened AND again IS NULL`, t.now); err != nil {
		return fmt.Errorf("ask for what is not opened to be opened again: %w", err)
	}
	return nil
}

// NextAgain opens once more one arrival that TryAgain or a new key named, and
// puts what open found in the place of what was there; found is false when none
// is asked for. What cannot be opened this time either stays as it was; where a
// member asked, the history says so. Only work may call it.
func (db *DB) NextAgain(ctx context.Context, by disclosure.Caller, open func(context.Context, *Arrival) (Opened, error)) (found bool, err error) {
	if !by.IsSystem() {
		return false, disclosure.ErrForbidden
	}
	if _, err := db.deskKey(); err != nil {
		return false, err
	}
	var id disclosure.ArrivalID
	err = db.transact(ctx, by, func(t *tx) error {
		found = false
		a := &Arrival{t: t}
		var owner disclosure.CaseID
		var header, wrapped []byte
		var asked bool
		err := t.QueryRow(ctx, `SELECT id, kind, channel, received, vault_key, header, wrapped_key, coalesce(case_id, ''), again_asked FROM arrival
			WHERE again <= $1 ORDER BY again, id LIMIT 1 FOR UPDATE SKIP LOCKED`, t.now).
			Scan(&a.ID, &a.Kind, &a.Channel, &a.Received, &a.meta.VaultKey, &header, &wrapped, &owner, &asked)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for an arrival to open again: %w", err)
		}
		found, id = true, a.ID
		if _, err := t.Exec(ctx, `UPDATE arrival SET again = NULL, again_asked = false WHERE id = $1`, a.ID); err != nil {
			return fmt.Errorf("note that an arrival is opened again: %w", err)
		}
		a.Received = a.Received.UTC()
		a.meta = vault.ArrivalMeta{Instance: db.instance, ID: string(a.ID), Kind: string(a.Kind), Channel: string(a.Channel),
			VaultKey: a.meta.VaultKey, Received: a.Received}
		if owner == "" {
			return nil // set aside without a case
		}
		c, err := t.lockCase(ctx, owner)
		if err != nil {
			return err
		}
		if a.key, err = t.keys[string(owner)].Unwrap(db.aad("arrival", "wrapped_key", string(a.ID), string(owner), 1), wrapped); err != nil {
			return fmt.Errorf("unwrap the key of arrival %s: %w", a.ID, err)
		}
		failed := t.readHeader(a, header)
		if failed == nil {
			failed = t.inSavepoint(ctx, func() error { return t.openAgain(ctx, a, owner, open) })
		}
		if failed == nil {
			return nil
		}
		if t.isDatabase(ctx, failed) {
			return failed
		}
		t.note("arrival.still-unopened", string(a.ID), nil)
		if !asked {
			return nil
		}
		return t.recordEvent(ctx, c, disclosure.EventNote, "Tried again to open a message: "+oneLine(failed.Error(), 500))
	})
	if err != nil && found && !stopsAll(ctx, err) { // the next one must not wait for it
		_, off := db.pool.Exec(ctx, `UPDATE arrival SET again = $2 WHERE id = $1 AND again IS NOT NULL`, id, db.Now().Add(badRowWaits))
		err = errors.Join(fmt.Errorf("open arrival %s again: %w", id, err), unavailable(off))
	}
	return found, err
}

// openAgain replaces what was stored of an arrival that was not opened.
func (t *tx) openAgain(ctx context.Context, a *Arrival, owner disclosure.CaseID, open func(context.Context, *Arrival) (Opened, error)) error {
	m, err := t.theMessage(ctx, `m.case_id = $1 AND m.arrival = $2 AND m.state = 'in'`, owner, a.ID)
	if err != nil {
		return err
	}
	if m.Protection.Encryption != disclosure.Unopened { // it was opened: its files and what the team made of it stay
		if _, err := t.Exec(ctx, `UPDATE arrival SET unopened = false WHERE id = $1`, a.ID); err != nil {
			return fmt.Errorf("note that an arrival was opened: %w", err)
		}
		return nil
	}
	if _, err := t.Exec(ctx, `DELETE FROM file WHERE arrival = $1 AND case_id = $2`, a.ID, owner); err != nil {
		return fmt.Errorf("replace the files of an arrival: %w", err)
	}
	if err := t.setSender(ctx, a, owner, disclosure.ReporterID(m.Lane.ID)); err != nil {
		return err
	}
	if a.Body, err = newArrivalBody(ctx, t, a.meta, a.key); err != nil {
		return err
	}
	o, err := safely(ctx, a, open)
	switch {
	case err != nil:
		return err
	case o.Bounce != nil:
		return errStill
	case o.Protection.Encryption == disclosure.Unopened:
		return fmt.Errorf("%w: %s", errStill, disclosure.ProblemWords(o.Protection.Problem))
	}
	if err := t.dropSpools(ctx, a); err != nil {
		return err
	}
	c := a.found
	m.Files = nil
	for _, f := range a.files {
		m.Files = append(m.Files, f.ID)
		if err := c.AddFile(f, t.by, t.now); err != nil {
			return err
		}
	}
	if _, err := t.Exec(ctx, `UPDATE arrival SET unopened = false WHERE id = $1`, a.ID); err != nil {
		return fmt.Errorf("note that an arrival was opened: %w", err)
	}
	first := c.Protection.Encryption == disclosure.Unopened
	m.Text, m.Protection, m.mailID, m.Checked = clip(o.Text, 4<<20), o.Protection, o.MailID, o.Checked
	if err := t.saveMessage(ctx, m); err != nil {
		return err
	}
	if first {
		c.Protection = o.Protection // which no other save changes
		if _, err := t.Exec(ctx, `UPDATE cases SET protection = $2 WHERE id = $1`, c.ID, joinProtection(o.Protection)); err != nil {
			return fmt.Errorf("store the protection of case #%d: %w", c.Number, err)
		}
		if title := completed(a, o).Title; title != "" {
			if err := c.SetTitle(title, t.by, t.now); err != nil {
				t.db.log.Debug("the title of a message that was opened again cannot be used", "arrival", string(a.ID))
			}
		}
	}
	if err := c.SetAttention(clip(o.Attention, 1000), t.by, t.now); err != nil {
		return err
	}
	if err := t.saveCaseAs(ctx, c, true); err != nil {
		return err
	}
	t.note("arrival.opened-again", string(a.ID), nil)
	return t.recordEvent(ctx, c, disclosure.EventArrived, "A message was opened that could not be opened before")
}

// notBack refuses to take a repetition of a reply for sent that was taken back.
func (t *tx) notBack(ctx context.Context, id disclosure.MessageID) error {
	var back bool
	if err := t.QueryRow(ctx, `SELECT state = 'back' FROM message WHERE id = $1`, id).Scan(&back); err != nil {
		return fmt.Errorf("look at the message: %w", notFound(err))
	}
	if back {
		return disclosure.Refuse("text", "You took back this very answer. Change it, or send it from here once more.")
	}
	return nil
}
