package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// MaxMessage is the most bytes of one note or reply.
const MaxMessage = 256 << 10

// MaxReplyFiles is the most bytes of files that travel with one reply into a
// mailbox, where they lie sealed together with its text.
const MaxReplyFiles = 8 << 20

// messageBody is what is sealed of a message.
type messageBody struct {
	Author     string
	Text       string
	Files      []disclosure.FileID
	Protection disclosure.Protection
	Letter     string
	Clear      bool                 // may travel unencrypted, on record
	MailID     string               // Message-ID of the mail it came by
	Problem    string               // why it could not be mailed
	Checked    []string             `json:",omitempty"`
	Supplied   *disclosure.Supplied `json:",omitempty"`
}

// storedMessage is a message with what only this package needs.
type storedMessage struct {
	disclosure.Message
	release     disclosure.ReleaseID     // of a distributor's lane; then Case is empty
	application disclosure.ApplicationID // of an applicant's lane; then both are
	clear       bool
	mailID      string
}

func (m storedMessage) owner() owner { return owner{m.Case, m.release, m.application} }

const messageColumns = `m.id, coalesce(m.case_id, ''), coalesce(m.release, ''), coalesce(m.application, ''), m.lane, m.lane_id, m.state, m.at, m.leaves_at,
	coalesce(m.arrival, ''), coalesce(m.member, ''), m.sealed`

// scanMessage opens one; the key of its case or release is in t.keys.
func (t *tx) scanMessage(row pgx.CollectableRow) (m storedMessage, err error) {
	var leaves *time.Time
	var sealed []byte
	err = row.Scan(&m.ID, &m.Case, &m.release, &m.application, &m.Lane.Kind, &m.Lane.ID, &m.State, &m.At, &leaves, &m.Arrival, &m.Member, &sealed)
	if err != nil {
		return m, err
	}
	m.At, m.LeavesAt = m.At.UTC(), timeOf(leaves)
	owner := m.owner().id()
	var b messageBody
	if err := openJSON(t.keys[owner], t.db.aad("message", "sealed", string(m.ID), owner, 1), sealed, &b); err != nil {
		return m, err
	}
	m.Author, m.Text, m.Files, m.Protection, m.Letter, m.clear, m.mailID = b.Author, b.Text, b.Files, b.Protection, b.Letter, b.Clear, b.MailID
	m.Checked, m.Supplied = b.Checked, b.Supplied
	return m, nil
}

func (t *tx) sealMessage(m storedMessage) ([]byte, error) {
	owner := m.owner().id()
	key, ok := t.keys[owner]
	if !ok {
		return nil, fmt.Errorf("seal message %s: the key of its case was not opened", m.ID)
	}
	return sealJSON(key, t.db.aad("message", "sealed", string(m.ID), owner, 1), messageBody{
		Author: m.Author, Text: m.Text, Files: m.Files, Protection: m.Protection, Letter: m.Letter, Clear: m.clear, MailID: m.mailID,
		Checked: m.Checked, Supplied: m.Supplied,
	})
}

// insertMessage adds an entry; one whose id is there already is left alone, so
// that a repeated request writes once.
func (t *tx) insertMessage(ctx context.Context, m disclosure.Message) error {
	_, err := t.addMessage(ctx, storedMessage{Message: m})
	return err
}

func (t *tx) addMessage(ctx context.Context, m storedMessage) (added bool, err error) {
	sealed, err := t.sealMessage(m)
	if err != nil {
		return false, err
	}
	tag, err := t.Exec(ctx, `INSERT INTO message (id, case_id, release, application, lane, lane_id, state, at, leaves_at, arrival, member, sealed)
		VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, ''), $5, $6, $7, $8, $9, nullif($10, ''), nullif($11, ''), $12) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.Case, m.release, m.application, m.Lane.Kind, m.Lane.ID, m.State, m.At, orNull(m.LeavesAt), m.Arrival, m.Member, sealed)
	if err != nil {
		return false, fmt.Errorf("store a message: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// Thread is everything said about a case, every lane, oldest first; reading it
// is logged.
func (db *DB) Thread(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (list []disclosure.Message, err error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	err = db.transact(ctx, by, func(t *tx) error {
		if _, err := t.visibleCase(ctx, id, false); err != nil {
			return err
		}
		if list, err = t.messages(ctx, `m.case_id = $1`, id); err != nil {
			return err
		}
		return t.opened(ctx, "thread.read", string(id))
	})
	return list, err
}

func (t *tx) messages(ctx context.Context, where string, args ...any) ([]disclosure.Message, error) {
	rows, err := t.Query(ctx, `SELECT `+messageColumns+` FROM message m WHERE `+where+` ORDER BY m.at, m.id`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the thread: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (disclosure.Message, error) {
		m, err := t.scanMessage(r)
		return m.Message, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the thread: %w", err)
	}
	return list, nil
}

func checkText(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return "", disclosure.Refuse("text", "Write something first.")
	}
	if len(text) > MaxMessage {
		return "", disclosure.Refuse("text", "This is longer than 256 KiB. Attach it as a file instead.")
	}
	return text, nil
}

// AddNote writes into the team's lane. id is made by the caller: the same one
// again changes nothing.
func (db *DB) AddNote(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, id disclosure.MessageID, text string, files []disclosure.FileID) error {
	if !mayOpen(by) {
		return disclosure.ErrForbidden
	}
	text, err := checkText(text)
	if err != nil {
		return err
	}
	return db.withCase(ctx, by, c, func(t *tx, k *disclosure.Case) error {
		if err := knownFiles(k, files); err != nil {
			return err
		}
		added, err := t.addMessage(ctx, storedMessage{Message: disclosure.Message{
			ID: id, Case: c, Lane: disclosure.Lane{Kind: disclosure.LaneTeam}, State: disclosure.MessageNote, At: t.now,
			Author: by.Name, Member: by.Member, Text: text, Files: files,
		}})
		if err != nil || !added {
			return err
		}
		t.note("case.note", string(c), nil)
		return t.saveCase(ctx, k)
	})
}

func knownFiles(c *disclosure.Case, files []disclosure.FileID) error {
	for _, id := range files {
		found := false
		for _, f := range c.Files {
			found = found || f.ID == id
		}
		if !found {
			return disclosure.Refuse("files", "One of the files is not in this case. Attach it again.")
		}
	}
	return nil
}

// ReplyDraft is what a member sends to somebody outside.
type ReplyDraft struct {
	ID     disclosure.MessageID // made by the caller: the same one again changes nothing
	Case   disclosure.CaseID
	Lane   disclosure.Lane
	Text   string
	Files  []disclosure.FileID // stored before with StoreFile
	Letter string              // name of the template it was made from; empty: typed
	Clear  bool                // a member decided that it may travel unencrypted; on record
	// Safe: the text is the letter, word for word. It may go in clear where the
	// policy names the letter as free of detail.
	Safe bool
}

// Reply queues an answer: it leaves when disclosure.TakeBack is over and can be
// taken back until then. Triagers only. A reporter who cannot be reached, or
// only in clear without that being allowed, is refused.
func (db *DB) Reply(ctx context.Context, by disclosure.Caller, d ReplyDraft) error {
	if !by.Can(disclosure.Triager) {
		if mayOpen(by) || by.Roles.Has(disclosure.Auditor) {
			return disclosure.ErrForbidden
		}
		return disclosure.ErrNotFound
	}
	text, err := checkText(d.Text)
	if err != nil {
		return err
	}
	if d.Lane.Kind != disclosure.LaneReporter {
		return disclosure.Refuse("lane", "Only reporters can be answered from a case.")
	}
	return db.withCase(ctx, by, d.Case, func(t *tx, c *disclosure.Case) error {
		r := c.Reporter(disclosure.ReporterID(d.Lane.ID))
		if r == nil {
			return disclosure.ErrNotFound
		}
		clear := d.Clear || d.Safe
		p, err := howItTravels(r, d, c.Policy, "reporter", "Ask for a key, or invite the reporter to a mailbox.")
		if err != nil {
			return err
		}
		if err := knownFiles(c, d.Files); err != nil {
			return err
		}
		var size int64
		for _, f := range c.Files {
			for _, id := range d.Files {
				if f.ID == id {
					size += f.Size
				}
			}
		}
		if size > MaxReplyFiles {
			return disclosure.Refuse("files", "Files of a reply have at most 8 MiB together.")
		}
		leaves := t.now.Add(disclosure.TakeBack)
		added, err := t.addMessage(ctx, storedMessage{clear: clear, Message: disclosure.Message{
			ID: d.ID, Case: d.Case, Lane: d.Lane, State: disclosure.MessageWaiting, At: t.now, LeavesAt: leaves,
			Author: by.Name, Member: by.Member, Text: text, Files: d.Files, Letter: d.Letter, Protection: p,
		}})
		if err != nil {
			return err
		}
		if !added {
			return t.notBack(ctx, d.ID)
		}
		if clear && r.Mailbox == "" && len(r.Key) == 0 {
			t.note("case.reply-in-clear", string(c.ID), nil)
		}
		t.note("case.reply", string(c.ID), nil)
		if err := t.recordEvent(ctx, c, disclosure.EventReply, "Answered "+r.Label()); err != nil {
			return err
		}
		if err := t.saveCase(ctx, c); err != nil {
			return err
		}
		return t.notify(ctx, ChannelWork)
	})
}

// howItTravels: by mailbox, by encrypted mail, or in clear as far as the
// policy allows it: never, only letters that give nothing away, or after a
// member was asked, on record. who is what the other is called, and instead
// says what can be done.
func howItTravels(r *disclosure.Reporter, d ReplyDraft, p *disclosure.Policy, who, instead string) (disclosure.Protection, error) {
	var none disclosure.Protection
	switch {
	case !r.Reachable():
		return none, disclosure.Refuse("lane", "This "+who+" left no way to be answered.")
	case r.Mailbox != "" || len(r.Key) > 0:
		return disclosure.Protection{Encryption: disclosure.ToCurrentKey, Signature: disclosure.SignedKnown, Integrity: disclosure.Whole}, nil
	}
	letter := ""
	if d.Safe && len(d.Files) == 0 {
		letter = d.Letter
	}
	switch p.InClear(letter, d.Clear) {
	case disclosure.ClearNever:
		return none, disclosure.Refuse("clear", "We have no key of this "+who+", and the policy lets nothing travel unencrypted. "+instead)
	case disclosure.ClearSafe:
		return none, disclosure.Refuse("clear", "We have no key of this "+who+", so this would travel unencrypted; the policy allows that for letters without detail alone, word for word. "+instead)
	case disclosure.ClearAsk:
		return none, disclosure.Refuse("clear", "We have no key of this "+who+", so this would travel unencrypted. "+instead+" Or say that it may travel in clear.")
	}
	return none, nil
}

// recordEvent writes one line of history that no rule of the case makes.
func (t *tx) recordEvent(ctx context.Context, c *disclosure.Case, kind disclosure.EventKind, text string) error {
	return t.recordAbout(ctx, owner{Case: c.ID}, kind, text)
}

func (t *tx) recordAbout(ctx context.Context, of owner, kind disclosure.EventKind, text string) error {
	return t.saveEvents(ctx, of, t.keys[of.id()],
		[]disclosure.Event{{Kind: kind, By: t.by.Name, Member: t.by.Member, At: t.now, Text: text}})
}

// TakeBack stops a reply that has not left: by its writer, or by another
// triager. One that has is refused.
func (db *DB) TakeBack(ctx context.Context, by disclosure.Caller, id disclosure.MessageID) error {
	if !by.Can(disclosure.Triager) {
		return disclosure.ErrForbidden
	}
	var of *disclosure.CaseID
	if err := db.pool.QueryRow(ctx, `SELECT case_id FROM message WHERE id = $1`, id).Scan(&of); err != nil {
		return fmt.Errorf("find the message: %w", unavailable(notFound(err)))
	}
	if of == nil {
		return disclosure.ErrNotFound
	}
	return db.withCase(ctx, by, *of, func(t *tx, c *disclosure.Case) error {
		t.note("case.taken-back", string(c.ID), nil)
		return t.takeBack(ctx, owner{Case: c.ID}, id)
	})
}

// takeBack stops a reply; what it belongs to is locked.
func (t *tx) takeBack(ctx context.Context, of owner, id disclosure.MessageID) error {
	var leaves *time.Time
	err := t.QueryRow(ctx, `SELECT leaves_at FROM message WHERE id = $1 AND coalesce(case_id, application) = $2 FOR UPDATE`, id, of.id()).Scan(&leaves)
	if err != nil {
		return fmt.Errorf("lock the message: %w", notFound(err))
	}
	if leaves == nil || !t.now.Before(*leaves) {
		return disclosure.Refuse("", "It has left already and cannot be taken back.")
	}
	if _, err := t.Exec(ctx, `UPDATE message SET state = 'back', leaves_at = NULL WHERE id = $1`, id); err != nil {
		return fmt.Errorf("take the message back: %w", err)
	}
	return t.recordAbout(ctx, of, disclosure.EventTakenBack, "Took an answer back before it left")
}

// Outbound is a reply that has to be mailed.
type Outbound struct {
	Message     disclosure.Message
	Application bool // it answers an application, not a report
	To          string
	Name        string
	Key         []byte // the reporter's certificate; nil: none
	Language    string
	Clear       bool   // may travel unencrypted
	Token       string // for Reply-To; known to Claim afterwards
	MessageID   string // left of the @; the same at every attempt
	InReplyTo   string // Message-ID of the reporter's last mail; may be empty
	Files       []disclosure.File
	// OpenFile writes a file's bytes; good only until send returns.
	OpenFile func(id disclosure.FileID, w io.Writer) error
	// Post, where it is set, takes the reply into the reporter's mailbox instead:
	// send encrypts it to Key, and mails nothing. how is a line of history.
	Post func(item disclosure.MailboxItem, how string) error
}

// Format keeps the text out of fmt's output.
func (o Outbound) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[outbound reply]") }

// ErrSendFailed, wrapped by send's error, says that no further attempt helps.
var ErrSendFailed = errors.New("this cannot be mailed")

// resendAfter is how long a reply waits that could not be mailed for now.
const resendAfter = 5 * time.Minute

// SendDue lets one reply leave whose 30 seconds are over, and says whether
// there was one. Into a mailbox it is sealed in this transaction, once. By
// mail it is given to send, and called sent when the commit follows: a crash
// in between repeats the mail with the same Message-ID. An error of send that
// wraps ErrSendFailed makes the message failed; any other one puts it off, and
// so does a fault of its own rows, which is returned with found.
// disclosure.ErrHeld while the instance is held.
func (db *DB) SendDue(ctx context.Context, by disclosure.Caller, send func(context.Context, Outbound) error) (found bool, err error) {
	var id disclosure.MessageID
	err = db.transact(ctx, by, func(t *tx) error {
		found = false
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		var of owner
		err := t.QueryRow(ctx, `SELECT id, coalesce(case_id, ''), coalesce(application, '') FROM message WHERE leaves_at <= $1 AND release IS NULL
			ORDER BY leaves_at, id LIMIT 1 FOR UPDATE SKIP LOCKED`, t.now).Scan(&id, &of.Case, &of.Application)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for a reply that is due: %w", err)
		}
		found = true
		to, err := t.correspondent(ctx, of)
		if errors.Is(err, vault.ErrOpen) {
			return t.giveUp(ctx, id, of)
		}
		if err != nil {
			return err
		}
		rows, err := t.Query(ctx, `SELECT `+messageColumns+` FROM message m WHERE m.id = $1`, id)
		if err != nil {
			return fmt.Errorf("read a reply: %w", err)
		}
		m, err := pgx.CollectExactlyOneRow(rows, t.scanMessage)
		if errors.Is(err, vault.ErrOpen) {
			return t.giveUp(ctx, id, of)
		}
		if err != nil {
			return fmt.Errorf("read a reply: %w", err)
		}
		return t.sendReply(ctx, to, m, send)
	})
	if err != nil && found && !stopsAll(ctx, err) { // the next one must not wait for it
		_, off := db.pool.Exec(ctx, `UPDATE message SET leaves_at = $2 WHERE id = $1 AND leaves_at IS NOT NULL`, id, db.Now().Add(badRowWaits))
		err = errors.Join(fmt.Errorf("send reply %s: %w", id, err), unavailable(off))
	}
	return found, err
}

// correspondence is what a reply belongs to: a case, or an application.
type correspondence struct {
	owner
	ref     string // path at the desk
	files   []disclosure.File
	outside func(disclosure.ReporterID) *disclosure.Reporter // nil: no longer there
}

func (t *tx) correspondent(ctx context.Context, of owner) (correspondence, error) {
	if of.Application != "" {
		a, err := t.loadApplication(ctx, of.Application, false)
		if err != nil {
			return correspondence{}, err
		}
		return correspondence{of, fmt.Sprintf("/applications/%d", a.Number), a.Files, func(id disclosure.ReporterID) *disclosure.Reporter {
			if id != a.Applicant.ID {
				return nil
			}
			return &a.Applicant
		}}, nil
	}
	c, err := t.loadCase(ctx, of.Case, false)
	if err != nil {
		return correspondence{}, err
	}
	return correspondence{of, fmt.Sprintf("/cases/%d", c.Number), c.Files, c.Reporter}, nil
}

func (t *tx) sendReply(ctx context.Context, c correspondence, m storedMessage, send func(context.Context, Outbound) error) error {
	r := c.outside(disclosure.ReporterID(m.Lane.ID))
	if r == nil {
		return t.settle(ctx, c, m, disclosure.MessageFailed, "the reporter is no longer in the case")
	}
	var err error
	if r.Mailbox != "" && len(r.Key) == 0 {
		err = t.replyToMailbox(ctx, c, r, m)
	} else {
		err = t.replyByMail(ctx, c, r, m, send)
	}
	if err == nil {
		err = t.mailboxNews(ctx, c.owner, r)
	}
	switch {
	case err == nil:
		return t.settle(ctx, c, m, disclosure.MessageOut, "")
	case errors.Is(err, errSend) && errors.Is(err, ErrSendFailed):
		return t.settle(ctx, c, m, disclosure.MessageFailed, err.Error())
	case errors.Is(err, errSend):
		t.db.log.Warn("a reply could not be mailed; it is tried again", "message", string(m.ID), "error", err)
		_, err := t.Exec(ctx, `UPDATE message SET leaves_at = $2 WHERE id = $1`, m.ID, t.now.Add(resendAfter))
		return err
	}
	return err
}

// giveUp fails a reply whose sealed text was altered, so that it keeps no
// other from leaving.
func (t *tx) giveUp(ctx context.Context, id disclosure.MessageID, of owner) error {
	t.db.log.Error("a reply does not open; it is not sent", "message", string(id), "owner", of.id())
	if _, err := t.Exec(ctx, `UPDATE message SET state = 'failed', leaves_at = NULL WHERE id = $1`, id); err != nil {
		return fmt.Errorf("give a reply up: %w", err)
	}
	t.note("message.failed", of.id(), nil)
	return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertAttention, Ref: "/health"}}, "")
}

// errSend marks what came from the callback, and not from the database.
var errSend = errors.New("mail the reply")

func (t *tx) settle(ctx context.Context, c correspondence, m storedMessage, state disclosure.MessageState, why string) error {
	if _, err := t.Exec(ctx, `UPDATE message SET state = $2, leaves_at = NULL WHERE id = $1`, m.ID, state); err != nil {
		return fmt.Errorf("settle a reply: %w", err)
	}
	t.note("message."+string(state), c.id(), nil)
	if state == disclosure.MessageOut {
		return t.recordAbout(ctx, c.owner, disclosure.EventSent, "The answer has left")
	}
	if err := t.recordAbout(ctx, c.owner, disclosure.EventSent, "An answer could not be sent: "+why); err != nil {
		return err
	}
	return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertDelivery, Ref: c.ref}}, c.Case)
}

func (t *tx) replyToMailbox(ctx context.Context, c correspondence, r *disclosure.Reporter, m storedMessage) error {
	item := disclosure.MailboxItem{Kind: disclosure.ItemReply, At: t.now, Text: m.Text}
	for _, f := range filesOf(c.files, m.Files) {
		var b bytes.Buffer
		if err := t.readFile(ctx, c.id(), f.ID, &b); err != nil {
			return err
		}
		item.Files = append(item.Files, disclosure.MailboxFile{Name: f.Label, Type: f.Type, Bytes: b.Bytes()})
	}
	return t.postItem(ctx, r.Mailbox, item)
}

func (t *tx) replyByMail(ctx context.Context, c correspondence, r *disclosure.Reporter, m storedMessage, send func(context.Context, Outbound) error) error {
	token, err := t.laneToken(ctx, c.owner, m.Lane)
	if err != nil {
		return err
	}
	last, err := t.lastMailID(ctx, c.owner, m.Lane)
	if err != nil {
		return err
	}
	o := Outbound{
		Message: m.Message, Application: c.Application != "", To: r.Address, Name: r.Name, Key: r.Key, Language: r.Language, Clear: m.clear,
		Token: token, MessageID: string(m.ID), InReplyTo: last, Files: filesOf(c.files, m.Files),
		OpenFile: func(id disclosure.FileID, w io.Writer) error { return t.readFile(ctx, c.id(), id, w) },
	}
	var posting error
	if r.Mailbox != "" {
		o.To, o.Token, o.InReplyTo = "", "", ""
		o.Post = func(item disclosure.MailboxItem, how string) error {
			item.Kind, item.At = disclosure.ItemReply, t.now
			if posting = t.postItem(ctx, r.Mailbox, item); posting == nil && how != "" {
				posting = t.recordAbout(ctx, c.owner, disclosure.EventSent, how)
			}
			return posting
		}
	}
	if err := send(ctx, o); posting != nil {
		return posting
	} else if err != nil {
		return fmt.Errorf("%w: %w", errSend, err)
	}
	return nil
}

func filesOf(files []disclosure.File, ids []disclosure.FileID) []disclosure.File {
	var list []disclosure.File
	for _, f := range files {
		for _, id := range ids {
			if f.ID == id {
				list = append(list, f)
			}
		}
	}
	return list
}

// lastMailID is the Message-ID of the lane's latest mail to us.
func (t *tx) lastMailID(ctx context.Context, of owner, lane disclosure.Lane) (string, error) {
	rows, err := t.Query(ctx, `SELECT `+messageColumns+` FROM message m
		WHERE coalesce(m.case_id, m.application) = $1 AND m.lane = $2 AND m.lane_id = $3 AND m.state = 'in' ORDER BY m.at DESC, m.id DESC LIMIT 1`, of.id(), lane.Kind, lane.ID)
	if err != nil {
		return "", fmt.Errorf("look for the last mail: %w", err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, t.scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return m.mailID, err
}

// laneToken makes a token for a lane's Reply-To. It is derived from the lane,
// so that a repeated attempt has the same one, and stored as a MAC alone.
func (t *tx) laneToken(ctx context.Context, of owner, lane disclosure.Lane) (string, error) {
	desk, err := t.db.deskKey()
	if err != nil {
		return "", err
	}
	token := laneTokenOf(desk, lane)
	mac, err := t.db.tokenMAC(token)
	if err != nil {
		return "", err
	}
	_, err = t.Exec(ctx, `INSERT INTO reply_token (mac, case_id, application, lane, lane_id, made)
		VALUES ($1, nullif($2, ''), nullif($3, ''), $4, $5, $6) ON CONFLICT DO NOTHING`,
		mac, of.Case, of.Application, lane.Kind, lane.ID, t.now)
	if err != nil {
		return "", fmt.Errorf("keep a reply token: %w", err)
	}
	return token, nil
}

func laneTokenOf(desk vault.Key, lane disclosure.Lane) string {
	return tokenEncoding.EncodeToString(desk.Tag("lane token", []byte(lane.Kind), []byte(lane.ID))[:16])
}
