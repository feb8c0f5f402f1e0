package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// Applications are sealed like cases: each has a key of its own, under the
// desk key, and its messages, files and history are sealed under that. Only
// who may enroll distributors sees one; for others there is none.

// applicationBody is application.body, under the application's key.
type applicationBody struct {
	Title     string
	Applicant disclosure.Reporter
	Attention string `json:",omitempty"`
	Unread    bool   `json:",omitempty"`
	Reason    string `json:",omitempty"`
	DecidedBy string `json:",omitempty"`
	Case      int    `json:",omitempty"`
	Alerted   map[string]disclosure.Stage
	Signer    string `json:",omitempty"`
	Problem   string `json:",omitempty"`
}

const applicationColumns = `id, number, state, channel, protection, received, policy_version, version, wrapped_key, key_version, body, decided_at`

// loadApplication opens one for a caller who may see it, with its files; its
// key is in t.keys then.
func (t *tx) loadApplication(ctx context.Context, id disclosure.ApplicationID, lock bool) (*disclosure.Application, error) {
	query := `SELECT ` + applicationColumns + ` FROM application WHERE id = $1`
	if lock {
		query += ` FOR NO KEY UPDATE`
	}
	list, err := t.applications(ctx, query, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("load application %s: %w", id, disclosure.ErrNotFound)
	}
	a := list[0]
	rows, err := t.Query(ctx, `SELECT id, sealed FROM file WHERE application = $1 ORDER BY added, id`, id)
	if err != nil {
		return nil, fmt.Errorf("read the files of application %s: %w", id, err)
	}
	a.Files, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (f disclosure.File, err error) {
		var sealed []byte
		if err := r.Scan(&f.ID, &sealed); err != nil {
			return f, err
		}
		return f, openJSON(t.keys[string(id)], t.db.aad("file", "sealed", string(f.ID), string(id), 1), sealed, &f)
	})
	if err != nil {
		return nil, fmt.Errorf("read the files of application %s: %w", id, err)
	}
	return a, nil
}

// applications opens what a query finds.
func (t *tx) applications(ctx context.Context, query string, args ...any) ([]*disclosure.Application, error) {
	if !disclosure.SeesApplications(t.by) {
		return nil, disclosure.ErrNotFound
	}
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("load applications: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*disclosure.Application, error) { return t.scanApplication(r) })
	if err != nil {
		return nil, fmt.Errorf("load applications: %w", err)
	}
	for _, a := range list {
		if a.Policy, err = t.db.policy(ctx, t, a.PolicyVersion); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (t *tx) scanApplication(r pgx.CollectableRow) (*disclosure.Application, error) {
	a := &disclosure.Application{}
	var protection string
	var wrapped, body []byte
	var keyVersion int
	var decided *time.Time
	err := r.Scan(&a.ID, &a.Number, &a.State, &a.Channel, &protection, &a.Received, &a.PolicyVersion, &a.Version, &wrapped, &keyVersion, &body, &decided)
	if err != nil {
		return nil, err
	}
	key, err := t.db.openOwnerKey("application", string(a.ID), wrapped, keyVersion)
	if err != nil {
		return nil, err
	}
	t.keys[string(a.ID)] = key
	var b applicationBody
	if err := openJSON(key, t.db.aad("application", "body", string(a.ID), string(a.ID), keyVersion), body, &b); err != nil {
		return nil, err
	}
	a.Received, a.Decided = a.Received.UTC(), timeOf(decided)
	a.Protection = splitProtection(protection)
	a.Protection.Signer, a.Protection.Problem = b.Signer, b.Problem
	a.Title, a.Applicant, a.Attention, a.Unread, a.Reason = b.Title, b.Applicant, b.Attention, b.Unread, b.Reason
	a.DecidedBy, a.Case, a.Alerted = b.DecidedBy, b.Case, b.Alerted
	return a, nil
}

// sealApplication is the body to store; what a member does says it was read.
func (t *tx) sealApplication(a *disclosure.Application) ([]byte, error) {
	key, ok := t.keys[string(a.ID)]
	if !ok {
		return nil, fmt.Errorf("save application %d: its key was not opened", a.Number)
	}
	return sealJSON(key, t.db.aad("application", "body", string(a.ID), string(a.ID), 1), applicationBody{
		Title: a.Title, Applicant: a.Applicant, Attention: a.Attention, Unread: a.Unread && t.by.IsSystem(), Reason: a.Reason,
		DecidedBy: a.DecidedBy, Case: a.Case, Alerted: a.Alerted, Signer: a.Protection.Signer, Problem: a.Protection.Problem,
	})
}

func (t *tx) insertApplication(ctx context.Context, a *disclosure.Application) error {
	body, err := t.sealApplication(a)
	if err != nil {
		return err
	}
	wrapped, err := t.wrapAs("application", string(a.ID))
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `INSERT INTO application (id, number, state, channel, protection, received, policy_version, mailbox, wake_at, due_at, wrapped_key, body, decided_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, $11, $12, $13)`,
		a.ID, a.Number, a.State, a.Channel, joinProtection(a.Protection), a.Received, a.PolicyVersion, a.Applicant.Mailbox,
		orNull(a.Wake()), orNull(a.Due()), wrapped, body, orNull(a.Decided))
	if err != nil {
		return fmt.Errorf("store application %d: %w", a.Number, err)
	}
	a.Version = 1
	return t.saveAroundApplication(ctx, a)
}

// wrapAs wraps a key that is open in this transaction for a row of a table.
func (t *tx) wrapAs(table, id string) ([]byte, error) {
	desk, err := t.db.deskKey()
	if err != nil {
		return nil, err
	}
	key, ok := t.keys[id]
	if !ok {
		return nil, fmt.Errorf("wrap the key of %s %s: it was not opened", table, id)
	}
	return desk.Wrap(t.db.aad(table, "wrapped_key", id, "", 1), key), nil
}

// saveApplication writes one that was loaded and locked.
func (t *tx) saveApplication(ctx context.Context, a *disclosure.Application) error {
	body, err := t.sealApplication(a)
	if err != nil {
		return err
	}
	box := a.Applicant.Mailbox
	if a.State == disclosure.ApplicationReport {
		box = "" // the case's reporter has it
	}
	tag, err := t.Exec(ctx, `UPDATE application SET state = $2, mailbox = nullif($3, ''), wake_at = $4, due_at = $5, body = $6, decided_at = $7, version = version + 1
		WHERE id = $1 AND version = $8`, a.ID, a.State, box, orNull(a.Wake()), orNull(a.Due()), body, orNull(a.Decided), a.Version)
	if err != nil {
		return fmt.Errorf("save application %d: %w", a.Number, err)
	}
	if tag.RowsAffected() == 0 {
		return disclosure.ErrStale
	}
	a.Version++
	return t.saveAroundApplication(ctx, a)
}

func (t *tx) saveAroundApplication(ctx context.Context, a *disclosure.Application) error {
	events := a.Events()
	if err := t.saveEvents(ctx, owner{Application: a.ID}, t.keys[string(a.ID)], events); err != nil {
		return err
	}
	for _, e := range events {
		t.note("application."+string(e.Kind), string(a.ID), nil)
	}
	return t.alertMembers(ctx, a.Alerts(), "")
}

// storeApplication makes of an opened arrival an application, or an entry of one.
func (t *tx) storeApplication(ctx context.Context, a *Arrival, o Opened) error {
	x := a.application
	if x == nil {
		var err error
		if x, err = t.newApplication(ctx, a, &o); err != nil {
			return err
		}
	} else if err := x.NoteArrival(a.Channel, t.by, t.now); err != nil {
		return err
	}
	if o.Attention != "" {
		if err := x.SetAttention(clip(o.Attention, 1000), t.by, t.now); err != nil {
			return err
		}
	}
	var err error
	if a.application == nil {
		err = t.insertApplication(ctx, x)
	} else {
		err = t.saveApplication(ctx, x)
	}
	if err != nil {
		return err
	}
	files := make([]disclosure.FileID, 0, len(a.files))
	for _, f := range a.files {
		files = append(files, f.ID)
	}
	_, err = t.addMessage(ctx, storedMessage{application: x.ID, mailID: o.MailID, Message: disclosure.Message{
		ID: disclosure.MessageID(disclosure.NewID()), Lane: x.Lane(), State: disclosure.MessageIn, At: a.Received,
		Author: x.Applicant.Label(), Text: clip(o.Text, 4<<20), Files: files, Arrival: a.ID, Protection: o.Protection, Checked: o.Checked,
	}})
	if err != nil {
		return err
	}
	if err := t.noteInMailbox(ctx, a, x.Applicant.Mailbox, o); err != nil {
		return err
	}
	if a.application == nil {
		if err := t.postApplicationStatus(ctx, x); err != nil {
			return err
		}
	}
	return t.closeArrival(ctx, a, owner{Application: x.ID})
}

// newApplication begins one, with whoever sent the arrival as applicant.
func (t *tx) newApplication(ctx context.Context, a *Arrival, o *Opened) (*disclosure.Application, error) {
	id, err := a.caseID()
	if err != nil {
		return nil, err
	}
	policy, err := t.db.currentPolicy(ctx, t)
	if err != nil {
		return nil, err
	}
	var n int
	if err := t.QueryRow(ctx, `SELECT nextval('application_number')`).Scan(&n); err != nil {
		return nil, fmt.Errorf("take a number for an application: %w", err)
	}
	x := disclosure.NewApplication(disclosure.ApplicationID(id), n, a.Channel, o.Protection, a.Received, policy)
	x.Title = o.Title
	box, err := t.newMailbox(ctx, a)
	if err != nil {
		return nil, err
	}
	r := disclosure.Reporter{
		ID: disclosure.ReporterID(disclosure.NewID()), Arrival: a.ID, Received: a.Received, Channel: a.Channel,
		Name: o.Name, Address: o.Address, Mailbox: box, Key: o.Key, KeyPrint: o.KeyPrint, Protected: o.Protection, Language: a.Header.Language,
	}
	err = x.SetApplicant(r)
	if errors.As(err, new(*disclosure.Refusal)) {
		o.Attention = strings.TrimSpace(o.Attention + " The sender's name or address cannot be used as it was given: " +
			fmt.Sprintf("%q, %q.", clip(r.Name, 200), clip(r.Address, 200)))
		r.Name, r.Address = "", ""
		err = x.SetApplicant(r)
	}
	return x, err
}

// noteInMailbox tells the owner of a mailbox that a message of theirs is here.
func (t *tx) noteInMailbox(ctx context.Context, a *Arrival, box disclosure.MailboxID, o Opened) error {
	if box == "" {
		return nil
	}
	items := []disclosure.MailboxItem{disclosure.OwnItem(a.Header, a.Received, o.KeyPrint)}
	if o.Receipt != "" {
		items = append(items, disclosure.MailboxItem{Kind: disclosure.ItemReceipt, At: t.now, Text: o.Receipt})
	}
	for _, item := range items {
		err := t.postItem(ctx, box, item)
		if err != nil && !errors.Is(err, disclosure.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Applications lists those to be decided, the nearest date first, and of the
// others the newest, at most limit of either. That they were looked at is
// logged. disclosure.ErrNotFound for who may not see them.
func (db *DB) Applications(ctx context.Context, by disclosure.Caller, limit int) (open, over []*disclosure.Application, err error) {
	err = db.transact(ctx, by, func(t *tx) error {
		var err error
		if open, err = t.applications(ctx, `SELECT `+applicationColumns+` FROM application WHERE state = 'received'
			ORDER BY due_at NULLS LAST, number LIMIT $1`, limit); err != nil {
			return err
		}
		if over, err = t.applications(ctx, `SELECT `+applicationColumns+` FROM application WHERE state <> 'received'
			ORDER BY number DESC LIMIT $1`, limit); err != nil {
			return err
		}
		return t.opened(ctx, "applications.read", "")
	})
	return open, over, err
}

// OpenApplications counts those to be decided: none, for who may not see them.
func (db *DB) OpenApplications(ctx context.Context, by disclosure.Caller) (int, error) {
	a, err := db.Around(ctx, by)
	return a.Applications, err
}

// ApplicationThread is an application with all that was said and done about it.
type ApplicationThread struct {
	*disclosure.Application
	Messages []disclosure.Message // oldest first
	History  []disclosure.Event   // oldest first
}

// Application opens one by its number; that it was read is logged.
func (db *DB) Application(ctx context.Context, by disclosure.Caller, number int) (a ApplicationThread, err error) {
	err = db.transact(ctx, by, func(t *tx) error {
		id, err := t.applicationByNumber(ctx, number)
		if err != nil {
			return err
		}
		a = ApplicationThread{}
		if a.Application, err = t.loadApplication(ctx, id, false); err != nil {
			return err
		}
		if a.Messages, err = t.messages(ctx, `m.application = $1`, id); err != nil {
			return err
		}
		of := owner{Application: id}
		if a.History, err = t.loadEvents(ctx, of, t.keys[of.id()]); err != nil {
			return err
		}
		return t.opened(ctx, "application.read", string(id))
	})
	return a, err
}

func (t *tx) applicationByNumber(ctx context.Context, number int) (id disclosure.ApplicationID, err error) {
	if !disclosure.SeesApplications(t.by) {
		return "", disclosure.ErrNotFound
	}
	if err := t.QueryRow(ctx, `SELECT id FROM application WHERE number = $1`, number).Scan(&id); err != nil {
		return "", fmt.Errorf("find application %d: %w", number, notFound(err))
	}
	return id, nil
}

// UpdateApplication locks one, lets change call methods on it, and saves it
// with its history and alerts. change may run again and must only touch it.
// What becomes a report goes through MakeReport.
func (db *DB) UpdateApplication(ctx context.Context, by disclosure.Caller, number int, change func(*disclosure.Application) error) error {
	return db.withApplication(ctx, by, number, func(t *tx, a *disclosure.Application) error {
		from := a.State
		if err := change(a); err != nil {
			return err
		}
		if err := t.saveApplication(ctx, a); err != nil {
			return err
		}
		if a.State == from {
			return nil
		}
		return t.postApplicationStatus(ctx, a)
	})
}

// postApplicationStatus tells the applicant's mailbox, if there is one, how it stands.
func (t *tx) postApplicationStatus(ctx context.Context, a *disclosure.Application) error {
	if a.Applicant.Mailbox == "" {
		return nil
	}
	err := t.postItem(ctx, a.Applicant.Mailbox, a.MailboxStatus(t.now))
	if errors.Is(err, disclosure.ErrNotFound) {
		return nil
	}
	return err
}

func (db *DB) withApplication(ctx context.Context, by disclosure.Caller, number int, f func(*tx, *disclosure.Application) error) error {
	return db.transact(ctx, by, func(t *tx) error {
		id, err := t.applicationByNumber(ctx, number)
		if err != nil {
			return err
		}
		a, err := t.loadApplication(ctx, id, true)
		if err != nil {
			return err
		}
		return f(t, a)
	})
}

// MakeReport makes an application the case it should have been, with its own
// time of arrival: everything said moves over as it is sealed, because the
// case has its id and key. It says the case's number.
func (db *DB) MakeReport(ctx context.Context, by disclosure.Caller, number int) (made int, err error) {
	err = db.withApplication(ctx, by, number, func(t *tx, a *disclosure.Application) error {
		policy, err := t.db.currentPolicy(ctx, t)
		if err != nil {
			return err
		}
		if made, err = t.nextNumber(ctx); err != nil {
			return err
		}
		c, err := a.BecomeReport(made, policy, by, t.now)
		if err != nil {
			return err
		}
		wrapped, err := t.wrapAs("cases", string(c.ID))
		if err != nil {
			return err
		}
		if err := t.saveApplication(ctx, a); err != nil {
			return err
		}
		if err := t.insertCase(ctx, c, wrapped); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`UPDATE message SET case_id = application, application = NULL, lane = CASE lane WHEN 'applicant' THEN 'reporter' ELSE lane END
			WHERE application = $1`, a.ID)
		batch.Queue(`UPDATE file SET case_id = application, application = NULL WHERE application = $1`, a.ID)
		batch.Queue(`UPDATE arrival SET case_id = application, application = NULL WHERE application = $1`, a.ID)
		batch.Queue(`UPDATE mailbox_news SET application = NULL WHERE application = $1`, a.ID)
		batch.Queue(`UPDATE reply_token SET case_id = application, application = NULL, lane = 'reporter' WHERE application = $1`, a.ID)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("move application %d into its case: %w", a.Number, err)
		}
		return nil
	})
	return made, err
}

// AnswerApplication queues an answer to an applicant; by the rules of Reply,
// which also say how it may travel. It carries no files.
func (db *DB) AnswerApplication(ctx context.Context, by disclosure.Caller, number int, d ReplyDraft) error {
	text, err := checkText(d.Text)
	if err != nil {
		return err
	}
	return db.withApplication(ctx, by, number, func(t *tx, a *disclosure.Application) error {
		if a.State == disclosure.ApplicationReport {
			return disclosure.Refuse("", fmt.Sprintf("It goes on as case #%d. Answer there.", a.Case))
		}
		d.Files = nil
		p, err := howItTravels(&a.Applicant, d, a.Policy, "applicant", "Ask for a key.")
		if err != nil {
			return err
		}
		clear := d.Clear || d.Safe
		added, err := t.addMessage(ctx, storedMessage{application: a.ID, clear: clear, Message: disclosure.Message{
			ID: d.ID, Lane: a.Lane(), State: disclosure.MessageWaiting, At: t.now, LeavesAt: t.now.Add(disclosure.TakeBack),
			Author: by.Name, Member: by.Member, Text: text, Letter: d.Letter, Protection: p,
		}})
		if err != nil {
			return err
		}
		if !added {
			return t.notBack(ctx, d.ID)
		}
		if clear && a.Applicant.Mailbox == "" && len(a.Applicant.Key) == 0 {
			t.note("application.reply-in-clear", string(a.ID), nil)
		}
		a.Note(disclosure.EventReply, by, t.now, "Answered "+a.Applicant.Label())
		if err := t.saveApplication(ctx, a); err != nil {
			return err
		}
		return t.notify(ctx, ChannelWork)
	})
}

// TakeBackAnswer stops an answer to an applicant that has not left.
func (db *DB) TakeBackAnswer(ctx context.Context, by disclosure.Caller, number int, id disclosure.MessageID) error {
	return db.withApplication(ctx, by, number, func(t *tx, a *disclosure.Application) error {
		t.note("application.taken-back", string(a.ID), nil)
		return t.takeBack(ctx, owner{Application: a.ID}, id)
	})
}

// WakeApplications lets every application whose time has come tick, at most
// limit of them, and says how many there were. Work calls it.
func (db *DB) WakeApplications(ctx context.Context, by disclosure.Caller, limit int) (n int, err error) {
	if !by.IsSystem() {
		return 0, disclosure.ErrForbidden
	}
	if _, err := db.deskKey(); err != nil {
		return 0, err
	}
	rows, err := db.pool.Query(ctx, `SELECT id FROM application WHERE wake_at <= $1 ORDER BY wake_at, id LIMIT $2`, db.Now(), limit)
	if err != nil {
		return 0, fmt.Errorf("look for applications to wake: %w", unavailable(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.ApplicationID])
	if err != nil {
		return 0, fmt.Errorf("look for applications to wake: %w", unavailable(err))
	}
	var failed []error
	for _, id := range ids {
		err := db.transact(ctx, by, func(t *tx) error {
			a, err := t.loadApplication(ctx, id, true)
			if err != nil {
				return err
			}
			a.Tick(t.now)
			return t.saveApplication(ctx, a)
		})
		n++
		switch {
		case err == nil:
		case errors.Is(err, vault.ErrLocked), stopsAll(ctx, err):
			return n, err
		default:
			failed = append(failed, fmt.Errorf("wake application %s: %w", id, err))
			if _, err := db.pool.Exec(ctx, `UPDATE application SET wake_at = $2 WHERE id = $1 AND wake_at < $2`, id, db.Now().Add(badRowWaits)); err != nil {
				return n, fmt.Errorf("put application %s off: %w", id, unavailable(err))
			}
		}
	}
	return n, errors.Join(failed...)
}
