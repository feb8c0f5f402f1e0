package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// takeWishes does to the case what the owner of a mailbox asked for through
// its forms: credit, key, withdrawal. What cannot be taken needs attention;
// the message is kept whatever comes of it.
func (t *tx) takeWishes(a *Arrival, c *disclosure.Case, o Opened) error {
	if a.Kind != disclosure.ArrivalMessage || a.From == nil {
		return nil
	}
	for _, answer := range a.Header.Answers {
		var err error
		switch answer.Ask {
		case disclosure.AnswerCredit:
			err = c.AskCredit(a.From.ID, a.Header.Credit, a.Header.CreditText, t.by, t.now)
		case disclosure.AnswerKey:
			err = c.SetReporterKey(a.From.ID, a.Header.Key, o.KeyPrint, t.by, t.now)
		case disclosure.AnswerWithdraw:
			err = c.AskWithdraw(a.From.ID, answer.Text, t.by, t.now)
		}
		var refusal *disclosure.Refusal
		if errors.As(err, &refusal) {
			err = c.SetAttention("What the reporter asked for could not be taken: "+refusal.Error(), t.by, t.now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// statusPrint tells whether a reporter's mailbox shows what is so.
func statusPrint(c *disclosure.Case, r disclosure.Reporter) string {
	if r.Mailbox == "" {
		return ""
	}
	b, _ := json.Marshal(c.MailboxStatus(r, time.Time{})) // strings and times always marshal
	return string(r.Mailbox) + string(b)
}

func statusPrints(c *disclosure.Case) map[disclosure.ReporterID]string {
	prints := map[disclosure.ReporterID]string{}
	for _, r := range c.Reporters {
		prints[r.ID] = statusPrint(c, r)
	}
	return prints
}

// postStatuses puts how the case stands into the mailbox of each reporter for
// whom that has changed, in words a reporter may read.
func (t *tx) postStatuses(ctx context.Context, c *disclosure.Case, before map[disclosure.ReporterID]string) error {
	for _, r := range c.Reporters {
		if now := statusPrint(c, r); now == "" || now == before[r.ID] {
			continue
		}
		err := t.postItem(ctx, r.Mailbox, c.MailboxStatus(r, t.now))
		if err != nil && !errors.Is(err, disclosure.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Invitations to a mailbox: the reporter follows a link, a code is made on
// their side, and the token that came with it says whose lane it is for.
const (
	laneInvite  = "invite"
	inviteLasts = 14 * 24 * time.Hour
)

// InviteToMailbox makes the token of a single-use link by which a reporter who
// is reached by mail makes a mailbox of their own. An earlier invitation of the
// same reporter ends. Triagers only.
func (db *DB) InviteToMailbox(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, reporter disclosure.ReporterID) (token string, until time.Time, err error) {
	if !by.Can(disclosure.Triager) {
		return "", time.Time{}, disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return "", time.Time{}, err
	}
	random := vault.NewKey() // 32 random bytes, used once
	token = tokenEncoding.EncodeToString(random.Tag("mailbox invitation", desk.Tag("of", []byte(reporter)))[:20])
	mac, err := db.tokenMAC(token)
	if err != nil {
		return "", time.Time{}, err
	}
	err = db.withCase(ctx, by, c, func(t *tx, k *disclosure.Case) error {
		r := k.Reporter(reporter)
		switch {
		case r == nil:
			return disclosure.ErrNotFound
		case r.Mailbox != "":
			return disclosure.Refuse("lane", "This reporter has a mailbox already.")
		case r.Address == "":
			return disclosure.Refuse("lane", "This reporter left no address to be invited at.")
		}
		until = t.now.Add(inviteLasts)
		if _, err := t.Exec(ctx, `DELETE FROM reply_token WHERE lane = $1 AND lane_id = $2`, laneInvite, reporter); err != nil {
			return fmt.Errorf("end an earlier invitation: %w", err)
		}
		_, err := t.Exec(ctx, `INSERT INTO reply_token (mac, case_id, lane, lane_id, made) VALUES ($1, $2, $3, $4, $5)`,
			mac, c, laneInvite, reporter, t.now)
		if err != nil {
			return fmt.Errorf("keep an invitation: %w", err)
		}
		t.note("case.mailbox-invited", string(c), nil)
		return t.recordEvent(ctx, k, disclosure.EventNote, "Invited "+r.Label()+" to a mailbox")
	})
	return token, until, err
}

// takeInvitation finds whose mailbox an arrival has just made, and attaches
// it. A token that was used, is too old or was never ours changes nothing:
// what came is then an ordinary report.
func (t *tx) takeInvitation(ctx context.Context, a *Arrival) error {
	var token string
	for _, answer := range a.Header.Answers {
		if answer.Ask == disclosure.AnswerInvite {
			token = answer.Text
		}
	}
	if token == "" || len(token) > 100 || a.From != nil || a.Header.Mailbox == "" {
		return nil
	}
	mac, err := t.db.tokenMAC(token)
	if err != nil {
		return err
	}
	var id disclosure.CaseID
	var reporter disclosure.ReporterID
	err = t.QueryRow(ctx, `SELECT case_id, lane_id FROM reply_token WHERE mac = $1 AND lane = $2 AND made > $3`,
		mac, laneInvite, a.Received.Add(-inviteLasts)).Scan(&id, &reporter)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an invitation: %w", err)
	}
	if err := t.setSender(ctx, a, id, reporter); err != nil {
		return err
	}
	if a.From == nil || a.From.Mailbox != "" {
		a.found, a.From = nil, nil
		return nil
	}
	// After the case was locked: a second arrival with the same token waits there.
	tag, err := t.Exec(ctx, `DELETE FROM reply_token WHERE mac = $1 AND lane = $2`, mac, laneInvite)
	if err != nil {
		return fmt.Errorf("use an invitation up: %w", err)
	}
	if tag.RowsAffected() == 0 {
		a.found, a.From = nil, nil
		return nil
	}
	box, err := t.newMailbox(ctx, a)
	if err != nil {
		return err
	}
	if box == "" {
		return errors.New("the mailbox that came with an invitation cannot be sealed to")
	}
	return a.found.GiveMailbox(reporter, box, t.by, t.now)
}

// emptyInvitation reports whether nothing came but an invitation that leads
// nowhere: used, too old, or never ours. Anybody can send such, so it makes no
// case and alarms nobody; the log and the arrival itself are kept.
func (a *Arrival) emptyInvitation() bool {
	h := a.Header
	return a.From == nil && a.Kind == disclosure.ArrivalMessage && len(h.Answers) == 1 && h.Answers[0].Ask == disclosure.AnswerInvite &&
		h.Size == 0 && len(a.files) == 0 && h.Title == "" && len(h.Key) == 0
}

// TellMailboxes puts notices that were sent to reporters into the mailboxes of
// those who have one, with the planned date, and notes them in each lane. It
// says how many notices it took. Every one is taken once; one that cannot be
// is tried again the next time and keeps no other waiting.
func (db *DB) TellMailboxes(ctx context.Context, by disclosure.Caller) (n int, err error) {
	if !by.IsSystem() {
		return 0, disclosure.ErrForbidden
	}
	rows, err := db.pool.Query(ctx, `SELECT release, id FROM notice WHERE audience = 'reporters' AND state = 'sent' AND NOT in_mailboxes ORDER BY sent_at LIMIT 1000`)
	if err != nil {
		return 0, fmt.Errorf("look for notices to reporters: %w", unavailable(err))
	}
	type due struct {
		Release disclosure.ReleaseID
		Notice  disclosure.NoticeID
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return 0, fmt.Errorf("look for notices to reporters: %w", unavailable(err))
	}
	var failed []error
	for _, d := range list {
		err := db.transact(ctx, by, func(t *tx) error { return t.tellMailboxes(ctx, d.Release, d.Notice) })
		switch {
		case err == nil:
			n++
		case stopsAll(ctx, err):
			return n, err
		default:
			failed = append(failed, fmt.Errorf("put notice %s into the mailboxes: %w", d.Notice, err))
		}
	}
	return n, errors.Join(failed...)
}

func (t *tx) tellMailboxes(ctx context.Context, release disclosure.ReleaseID, notice disclosure.NoticeID) error {
	if err := t.mayLeave(ctx); err != nil {
		return err
	}
	if err := t.lockReleaseRow(ctx, release); err != nil {
		return err
	}
	cases, err := t.casesTold(ctx, release)
	if err != nil {
		return err
	}
	var told bool
	var sealed, wrapped []byte
	var version int
	var at *time.Time
	err = t.QueryRow(ctx, `SELECT n.in_mailboxes, n.body, r.wrapped_key, r.key_version, CASE WHEN r.state <> 'called off' THEN r.at END
		FROM notice n JOIN release r ON r.id = n.release
		WHERE n.id = $1 AND n.state = 'sent' FOR UPDATE OF n`, notice).Scan(&told, &sealed, &wrapped, &version, &at)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && told {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the notice: %w", err)
	}
	key, err := t.db.openOwnerKey("release", string(release), wrapped, version)
	if err != nil {
		return err
	}
	var b noticeBody
	if err := openJSON(key, t.db.aad("notice", "body", string(notice), string(release), version), sealed, &b); err != nil {
		return err
	}
	mailed, err := t.mailedReporters(ctx, notice)
	if err != nil {
		return err
	}
	addresses := map[string]bool{} // two reporters with one address share one mail
	for _, c := range cases {
		for _, r := range c.Reporters {
			if mailed[r.ID] && r.Address != "" {
				addresses[strings.ToLower(r.Address)] = true
			}
		}
	}
	for _, c := range cases {
		for i := range c.Reporters {
			r := &c.Reporters[i]
			if !r.Withdrawn.IsZero() {
				continue
			}
			if r.Mailbox == "" && !mailed[r.ID] && !addresses[strings.ToLower(r.Address)] {
				continue // nobody told them
			}
			r.ToldDate = timeOf(at)
			if r.Mailbox == "" {
				continue
			}
			if err := t.postNotice(ctx, c, r, b, notice); err != nil {
				return err
			}
		}
		if err := t.saveCase(ctx, c); err != nil {
			return err
		}
	}
	if _, err := t.Exec(ctx, `UPDATE notice SET in_mailboxes = true WHERE id = $1`, notice); err != nil {
		return fmt.Errorf("note that the mailboxes have it: %w", err)
	}
	t.note("notice.in-mailboxes", string(notice), nil)
	return nil
}

// casesTold are the release's cases, locked; of one that was called off those
// that went back to accepted by it. The release is locked.
func (t *tx) casesTold(ctx context.Context, release disclosure.ReleaseID) ([]*disclosure.Case, error) {
	lr, err := t.loadRelease(ctx, release, forShow)
	if err != nil {
		return nil, err
	}
	if lr.State != disclosure.CalledOff {
		return t.loadCasesOf(ctx, release, true)
	}
	return t.loadCases(ctx, caseIDs(lr.Cases), true)
}

// mailedReporters are those whose mail of a notice the server took.
func (t *tx) mailedReporters(ctx context.Context, notice disclosure.NoticeID) (map[disclosure.ReporterID]bool, error) {
	rows, err := t.Query(ctx, `SELECT reporter FROM delivery WHERE notice = $1 AND state = 'sent' AND reporter IS NOT NULL`, notice)
	if err != nil {
		return nil, fmt.Errorf("look who was mailed: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.ReporterID])
	if err != nil {
		return nil, fmt.Errorf("look who was mailed: %w", err)
	}
	mailed := map[disclosure.ReporterID]bool{}
	for _, id := range ids {
		mailed[id] = true
	}
	return mailed, nil
}

func (t *tx) postNotice(ctx context.Context, c *disclosure.Case, r *disclosure.Reporter, b noticeBody, notice disclosure.NoticeID) error {
	text := strings.TrimSpace(b.Subject) + "\n\n" + b.Text
	err := t.postItem(ctx, r.Mailbox, disclosure.MailboxItem{Kind: disclosure.ItemReply, At: t.now, Text: text})
	if err != nil {
		if errors.Is(err, disclosure.ErrNotFound) {
			return nil
		}
		return err
	}
	if err := t.mailboxNews(ctx, owner{Case: c.ID}, r); err != nil {
		return err
	}
	return t.insertMessage(ctx, disclosure.Message{
		ID: disclosure.MessageID(string(notice) + "-" + string(r.ID)), Case: c.ID, Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(r.ID)},
		State: disclosure.MessageOut, At: t.now, Author: "notice to reporters", Text: text, Letter: "reporters",
		Protection: disclosure.Protection{Encryption: disclosure.ToCurrentKey, Signature: disclosure.SignedKnown, Integrity: disclosure.Whole},
	})
}

// senderMACs are what is kept of who a reporter is, to see that the same one came
// before: MACs under the desk key.
func (db *DB) senderMACs(r disclosure.Reporter) ([][]byte, error) {
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	list := [][]byte{}
	if a := strings.ToLower(strings.TrimSpace(r.Address)); a != "" {
		list = append(list, desk.Tag("sender", []byte("address"), []byte(a)))
	}
	if len(r.Key) > 0 {
		list = append(list, desk.Tag("sender", []byte("key"), r.Key))
	}
	return list, nil
}

// Earlier is another case that has to do with one: of the same sender, or the
// same bytes.
type Earlier struct {
	Number   int
	Title    string
	State    disclosure.CaseState
	Verdict  disclosure.Verdict
	Received time.Time
	Same     bool                  // the very same bytes came
	Reporter disclosure.ReporterID // of this case, who sent the other as well; empty: the same bytes alone
}

// maxEarlier bounds what is shown of a sender's history.
const maxEarlier = 30

// Earlier lists the other cases in which the case's reporters, or its very
// bytes, came up; newest first. What the caller may not see is left out, as if
// it were not there.
func (db *DB) Earlier(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (list []Earlier, err error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	err = db.transact(ctx, by, func(t *tx) error {
		if _, err := t.visibleCase(ctx, id, false); err != nil {
			return err
		}
		list, err = t.earlier(ctx, id)
		return err
	})
	return list, err
}

func (t *tx) earlier(ctx context.Context, id disclosure.CaseID) ([]Earlier, error) {
	rows, err := t.Query(ctx, `WITH found AS (
			SELECT o.case_id AS id, m.id AS reporter, false AS same FROM reporter m JOIN reporter o ON o.senders && m.senders AND o.case_id <> m.case_id
				WHERE m.case_id = $1
			UNION ALL
			SELECT b.case_id, '', true FROM arrival a JOIN arrival_seen s ON s.arrival = a.id JOIN arrival_seen o ON o.mac = s.mac AND o.arrival <> s.arrival
				JOIN arrival b ON b.id = o.arrival WHERE a.case_id = $1 AND b.case_id <> $1)
		SELECT c.id, c.number, c.state, c.received, c.wrapped_key, c.key_version, c.card, max(f.reporter), bool_or(f.same)
		FROM found f JOIN cases c ON c.id = f.id
		WHERE NOT c.restricted OR c.owner = $2 OR EXISTS (SELECT FROM case_access x WHERE x.case_id = c.id AND x.member = $2)
		GROUP BY c.id ORDER BY c.received DESC, c.id LIMIT $3`, id, t.by.Member, maxEarlier)
	if err != nil {
		return nil, fmt.Errorf("look for what came before: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Earlier, err error) {
		var other string
		var wrapped, sealed []byte
		var version int
		if err := row.Scan(&other, &e.Number, &e.State, &e.Received, &wrapped, &version, &sealed, &e.Reporter, &e.Same); err != nil {
			return e, err
		}
		key, err := t.db.openOwnerKey("cases", other, wrapped, version)
		if err != nil {
			return e, err
		}
		var card caseCard
		err = openJSON(key, t.db.aad("cases", "card", other, other, version), sealed, &card)
		e.Title, e.Verdict, e.Received = card.Title, card.Verdict, e.Received.UTC()
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what came before: %w", err)
	}
	return list, nil
}
