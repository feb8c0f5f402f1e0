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

// NewsDue has send write one letter whose time has come, and says whether
// there was one. Who has written since needs none. What send could not mail
// comes again, later each time. disclosure.ErrHeld while the instance is held.
func (db *DB) NewsDue(ctx context.Context, by disclosure.Caller, send func(context.Context, News) error) (found bool, err error) {
	err = db.transact(ctx, by, func(t *tx) error {
		found = false
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		var lane disclosure.ReporterID
		var of owner
		var news time.Time
		var attempt int
		var wrote bool
		err := t.QueryRow(ctx, `SELECT n.lane_id, n.news, n.attempt, coalesce(n.application, ''), coalesce(r.case_id, ''),
				EXISTS (SELECT FROM message m WHERE m.lane_id = n.lane_id AND m.state = 'in' AND m.at > n.news)
			FROM mailbox_news n LEFT JOIN reporter r ON r.id = n.lane_id WHERE n.next_at <= $1
			ORDER BY n.next_at LIMIT 1 FOR UPDATE OF n SKIP LOCKED`, t.now).Scan(&lane, &news, &attempt, &of.Application, &of.Case, &wrote)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for news of a mailbox: %w", err)
		}
		found = true
		done := func(told any) error {
			_, err := t.Exec(ctx, `UPDATE mailbox_news SET next_at = NULL, told = coalesce($2, told) WHERE lane_id = $1`, lane, told)
			return err
		}
		if wrote || of.id() == "" {
			return done(nil)
		}
		to, err := t.correspondent(ctx, of)
		if errors.Is(err, vault.ErrOpen) {
			return done(nil)
		}
		if err != nil {
			return err
		}
		r := to.outside(lane)
		if r == nil || r.Mailbox == "" || r.Address == "" || !r.Withdrawn.IsZero() {
			return done(nil)
		}
		kind := disclosure.LaneReporter
		if of.Application != "" {
			kind = disclosure.LaneApplicant
		}
		token, err := t.laneToken(ctx, of, disclosure.Lane{Kind: kind, ID: string(lane)})
		if err != nil {
			return err
		}
		err = send(ctx, News{
			Application: of.Application != "", To: r.Address, Name: r.Name, Key: r.Key, Language: r.Language, Token: token,
			MessageID: fmt.Sprintf("%s.%d", lane, news.Unix()),
		})
		switch {
		case err == nil:
			return done(t.now)
		case errors.Is(err, ErrSendFailed):
			return done(nil)
		}
		t.db.log.Warn("a letter about a mailbox could not be mailed", "reporter", string(lane), "attempt", attempt+1, "error", err)
		var next *time.Time
		if attempt+1 < newsAttempts {
			at := t.now.Add(time.Minute << attempt)
			next = &at
		}
		_, err = t.Exec(ctx, `UPDATE mailbox_news SET attempt = attempt + 1, next_at = $2 WHERE lane_id = $1`, lane, next)
		return err
	})
	if err != nil {
		return found, fmt.Errorf("tell of a mailbox: %w", err)
	}
	return found, nil
}
