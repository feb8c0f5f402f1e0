package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// newsEvery is how long one letter about a mailbox stands for all that comes
// into it, unless its owner wrote meanwhile.
const newsEvery = 24 * time.Hour

// newsAttempts is how often such a letter is tried before it is given up.
const newsAttempts = 8

// mailboxNews notes that something for r to read lies in the mailbox, where r
// left an address: one letter will say so, now or when a day has passed since
// the one before.
func (t *tx) mailboxNews(ctx context.Context, of owner, r *disclosure.Reporter) error {
	if r.Mailbox == "" || r.Address == "" || !r.Withdrawn.IsZero() {
		return nil
	}
	_, err := t.Exec(ctx, `INSERT INTO mailbox_news (lane_id, application, news, next_at) VALUES ($1, nullif($2, ''), $3, $3)
		ON CONFLICT (lane_id) DO UPDATE SET news = $3, application = excluded.application, attempt = 0, next_at = CASE
			WHEN mailbox_news.next_at IS NOT NULL OR mailbox_news.told IS NULL THEN coalesce(mailbox_news.next_at, $3)
			WHEN EXISTS (SELECT FROM message m WHERE m.lane_id = $1 AND m.state = 'in' AND m.at > mailbox_news.told) THEN $3
			ELSE greatest($3, mailbox_news.told + $4) END`, r.ID, of.Application, t.now, newsEvery)
	if err != nil {
		return fmt.Errorf("note the news of a mailbox: %w", err)
	}
	return nil
}

// News is a letter that says no more than that a mailbox holds something new.
type News struct {
	Application bool // else a report
	To, Name    string
	Key         []byte // nil: none
	Language    string
	Token       string // for Reply-To, should they answer by mail
	MessageID   string // left of the @; the same at every attempt
}

// Format keeps the address out of fmt's output.
func (n News) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[news of a mailbox]") }

// ErrNoLetter, from NewsDue's send, says that no letter is to be written, and
// that there is nothing to tell anybody about it.
var ErrNoLetter = errors.New("no letter about this mailbox is to be written")

// newsLease is how long a letter belongs to who is sending it; newsSending ends
// the sending before that.
const (
	newsLease   = 10 * time.Minute
	newsSending = 5 * time.Minute
)

// claimedNews is a letter that was taken to be sent.
type claimedNews struct {
	News
	of      owner
	lane    disclosure.ReporterID
	news    time.Time
	attempt int // this one; from 1
}

// NewsDue has send write one letter whose time has come, and says whether
// there was one. Who has written since needs none. send runs outside any
// transaction, so that a mail server which hangs stops nothing else; should the
// program end meanwhile, the letter is sent again with the same Message-ID.
// What send could not mail comes again, later each time; an error that wraps
// ErrSendFailed ends it, and the history says so. disclosure.ErrHeld while the
// instance is held.
func (db *DB) NewsDue(ctx context.Context, by disclosure.Caller, send func(context.Context, News) error) (found bool, err error) {
	n, found, err := db.claimNews(ctx, by)
	if err != nil {
		if found && n != nil && !stopsAll(ctx, err) { // the next one must not wait for it
			_, off := db.pool.Exec(ctx, `UPDATE mailbox_news SET next_at = $2 WHERE lane_id = $1 AND next_at IS NOT NULL`, n.lane, db.Now().Add(badRowWaits))
			err = errors.Join(err, unavailable(off))
		}
		return found, fmt.Errorf("tell of a mailbox: %w", err)
	}
	if n == nil {
		return found, nil
	}
	sending, cancel := context.WithTimeout(ctx, newsSending)
	defer cancel()
	sent := send(sending, n.News)
	if ctx.Err() != nil && sent != nil {
		return found, ctx.Err()
	}
	if err := db.transact(ctx, by, func(t *tx) error { return t.settleNews(ctx, n, sent) }); err != nil {
		return found, fmt.Errorf("note what became of a letter about a mailbox: %w", err)
	}
	return found, nil
}

// claimNews takes one that is due, for newsLease. n is nil where there is
// nothing to send; with an error it says no more than whose row is at fault.
func (db *DB) claimNews(ctx context.Context, by disclosure.Caller) (n *claimedNews, found bool, err error) {
	err = db.transact(ctx, by, func(t *tx) error {
		n, found = nil, false
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		c := &claimedNews{}
		var begun time.Time
		var wrote bool
		err := t.QueryRow(ctx, `SELECT n.lane_id, n.news, n.attempt + 1, coalesce(n.begun, $1), coalesce(n.application, ''), coalesce(r.case_id, ''),
				EXISTS (SELECT FROM message m WHERE m.lane_id = n.lane_id AND m.state = 'in' AND m.at > n.news)
			FROM mailbox_news n LEFT JOIN reporter r ON r.id = n.lane_id WHERE n.next_at <= $1
			ORDER BY n.next_at, n.lane_id LIMIT 1 FOR UPDATE OF n SKIP LOCKED`, t.now).
			Scan(&c.lane, &c.news, &c.attempt, &begun, &c.of.Application, &c.of.Case, &wrote)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for news of a mailbox: %w", err)
		}
		n, found = c, true
		drop := func() error {
			n = nil
			_, err := t.Exec(ctx, `UPDATE mailbox_news SET next_at = NULL, begun = NULL WHERE lane_id = $1`, c.lane)
			return err
		}
		if wrote || c.of.id() == "" {
			return drop()
		}
		to, err := t.correspondent(ctx, c.of)
		if errors.Is(err, vault.ErrOpen) {
			return drop()
		}
		if err != nil {
			return err
		}
		r := to.outside(c.lane)
		if r == nil || r.Mailbox == "" || r.Address == "" || !r.Withdrawn.IsZero() {
			return drop()
		}
		if c.attempt > newsAttempts { // the program ended in each of them
			if err := drop(); err != nil {
				return err
			}
			return t.notTold(ctx, c.of, "every attempt was interrupted")
		}
		kind := disclosure.LaneReporter
		if c.of.Application != "" {
			kind = disclosure.LaneApplicant
		}
		token, err := t.laneToken(ctx, c.of, disclosure.Lane{Kind: kind, ID: string(c.lane)})
		if err != nil {
			return err
		}
		c.News = News{
			Application: c.of.Application != "", To: r.Address, Name: r.Name, Key: r.Key, Language: r.Language, Token: token,
			MessageID: fmt.Sprintf("%s.%d", c.lane, begun.Unix()),
		}
		_, err = t.Exec(ctx, `UPDATE mailbox_news SET attempt = $2, begun = $3, next_at = $4 WHERE lane_id = $1`, c.lane, c.attempt, begun, t.now.Add(newsLease))
		return err
	})
	return n, found, err
}

// settleNews writes down what became of a letter. News that came while it was
// sent waits for another one, a day later.
func (t *tx) settleNews(ctx context.Context, n *claimedNews, sent error) error {
	over := errors.Is(sent, ErrSendFailed) || errors.Is(sent, ErrNoLetter)
	if sent == nil || over || n.attempt >= newsAttempts {
		var told *time.Time
		if sent == nil {
			told = &t.now
		}
		_, err := t.Exec(ctx, `UPDATE mailbox_news SET begun = NULL, attempt = 0, told = coalesce($3, told),
			next_at = CASE WHEN news > $2 THEN $4::timestamptz + $5::interval END WHERE lane_id = $1`, n.lane, n.news, told, t.now, newsEvery)
		if err != nil || sent == nil || errors.Is(sent, ErrNoLetter) {
			return err
		}
		return t.notTold(ctx, n.of, sent.Error())
	}
	t.db.log.Warn("a letter about a mailbox could not be mailed", "reporter", string(n.lane), "attempt", n.attempt, "error", sent)
	_, err := t.Exec(ctx, `UPDATE mailbox_news SET next_at = $2 WHERE lane_id = $1 AND next_at IS NOT NULL`, n.lane, t.now.Add(time.Minute<<(n.attempt-1)))
	return err
}

// notTold has the history say that no letter went.
func (t *tx) notTold(ctx context.Context, of owner, why string) error {
	to, err := t.correspondent(ctx, of)
	if err != nil {
		return err
	}
	return t.recordAbout(ctx, to.owner, disclosure.EventSent, "No letter says that the mailbox holds something new: "+oneLine(why, 500))
}
