package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// maxPause bounds the public notice of a pause.
const maxPause = 2000

// PauseIntake shuts the form and the API with a public notice; mail is taken
// and kept in order all the same. An empty notice opens them again. Admins
// only. It shows once the site is rendered: call PublishSite.
func (db *DB) PauseIntake(ctx context.Context, by disclosure.Caller, notice string) error {
	if !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	notice = strings.TrimSpace(strings.ReplaceAll(notice, "\r\n", "\n"))
	if len(notice) > maxPause {
		return disclosure.Refuse("paused", fmt.Sprintf("The notice has at most %d bytes.", maxPause))
	}
	return db.transact(ctx, by, func(t *tx) error {
		if _, err := t.Exec(ctx, `UPDATE instance SET paused = $1`, notice); err != nil {
			return fmt.Errorf("pause the intake: %w", err)
		}
		if notice == "" {
			t.note("intake.opened", "", nil)
		} else {
			t.note("intake.paused", "", map[string]string{"notice": notice})
		}
		return nil
	})
}

// Paused is the public notice while intake is paused by the switch; empty: it
// is not.
func (db *DB) Paused(ctx context.Context) (string, error) {
	return pausedNotice(ctx, db.pool)
}

func pausedNotice(ctx context.Context, q queryer) (notice string, err error) {
	if err := q.QueryRow(ctx, `SELECT paused FROM instance`).Scan(&notice); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("ask whether intake is paused: %w", unavailable(err))
	}
	return notice, nil
}

// Recipient is the one named person whom new reports go to, where the policy
// wants one, and who stands in during an absence.
type Recipient struct {
	Member   disclosure.MemberID
	Delegate disclosure.MemberID // empty: none
	From     time.Time           // of the absence
	Until    time.Time           // exclusive
}

// At is whom a report goes to that comes at now; empty: nobody is named.
func (r Recipient) At(now time.Time) disclosure.MemberID {
	if r.Delegate != "" && !now.Before(r.From) && now.Before(r.Until) {
		return r.Delegate
	}
	return r.Member
}

// IntakeRecipient is who is named; the zero Recipient: nobody.
func (db *DB) IntakeRecipient(ctx context.Context) (Recipient, error) {
	return intakeRecipient(ctx, db.pool)
}

func intakeRecipient(ctx context.Context, q queryer) (r Recipient, err error) {
	var from, until *time.Time
	err = q.QueryRow(ctx, `SELECT member, coalesce(delegate, ''), away_from, away_until FROM recipient`).Scan(&r.Member, &r.Delegate, &from, &until)
	if errors.Is(err, pgx.ErrNoRows) {
		return Recipient{}, nil
	}
	if err != nil {
		return Recipient{}, fmt.Errorf("read whom reports go to: %w", unavailable(err))
	}
	r.From, r.Until = timeOf(from), timeOf(until)
	return r, nil
}

// SetIntakeRecipient names the person whom new reports go to. Admins may name
// anybody; the person named may set their own absence and delegate. Clocks do
// not know of it.
func (db *DB) SetIntakeRecipient(ctx context.Context, by disclosure.Caller, r Recipient) error {
	return db.transact(ctx, by, func(t *tx) error {
		was, err := intakeRecipient(ctx, t)
		if err != nil {
			return err
		}
		if !by.Can(disclosure.Admin) && (by.Member == "" || was.Member != by.Member || r.Member != by.Member) {
			return disclosure.ErrForbidden
		}
		var faults *disclosure.Refusal
		for _, x := range []struct {
			field string
			id    disclosure.MemberID
		}{{"recipient", r.Member}, {"delegate", r.Delegate}} {
			if x.id == "" {
				continue
			}
			var active bool
			err := t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM member WHERE id = $1 AND disabled IS NULL AND password IS NOT NULL
				AND 'triager' = ANY(roles))`, x.id).Scan(&active)
			if err != nil {
				return fmt.Errorf("look for a member: %w", err)
			}
			if !active {
				faults = faults.Add(x.field, "Choose an active member who is a triager.")
			}
		}
		switch {
		case r.Delegate == "":
			r.From, r.Until = time.Time{}, time.Time{}
		case r.Delegate == r.Member:
			faults = faults.Add("delegate", "Somebody else has to stand in.")
		case r.From.IsZero() || !r.Until.After(r.From):
			faults = faults.Add("away_until", "Say from when to when; the end comes after the beginning.")
		}
		if err := faults.Err(); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, `DELETE FROM recipient`); err != nil {
			return fmt.Errorf("name a recipient: %w", err)
		}
		if r.Member != "" {
			_, err = t.Exec(ctx, `INSERT INTO recipient (member, delegate, away_from, away_until) VALUES ($1, nullif($2, ''), $3, $4)`,
				r.Member, r.Delegate, orNull(r.From), orNull(r.Until))
			if err != nil {
				return fmt.Errorf("name a recipient: %w", err)
			}
		}
		t.note("intake.recipient", string(r.Member), map[string]string{"delegate": string(r.Delegate)})
		return nil
	})
}

// addressed gives a new report's alert to the one person the policy names. One
// who is named no more, or cannot be told, is as good as none: then everybody
// is.
func (t *tx) addressed(ctx context.Context, a disclosure.Alert) (disclosure.Alert, error) {
	if a.Kind != disclosure.AlertReport || a.To != "" {
		return a, nil
	}
	policy, err := t.db.currentPolicy(ctx, t)
	if errors.Is(err, disclosure.ErrNotFound) {
		return a, nil
	}
	if err != nil || policy.Intake.Recipients != "person" {
		return a, err
	}
	r, err := intakeRecipient(ctx, t)
	if err != nil {
		return a, err
	}
	for _, id := range []disclosure.MemberID{r.At(t.now), r.Member} {
		var active bool
		if err := t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM member WHERE id = $1 AND disabled IS NULL AND password IS NOT NULL
			AND roles && '{triager,releaser,admin}')`, id).Scan(&active); err != nil {
			return a, fmt.Errorf("look for the recipient of reports: %w", err)
		}
		if active {
			a.To = id
			return a, nil
		}
	}
	return a, nil
}

// roster is the names that the policy wants public, in order of name; nil
// where it wants none.
func (db *DB) roster(ctx context.Context, q interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}, p *disclosure.Policy) ([]string, error) {
	if !p.Contact.Roster {
		return nil, nil
	}
	rows, err := q.Query(ctx, `SELECT name FROM member WHERE disabled IS NULL AND password IS NOT NULL AND roles && '{triager,releaser}' ORDER BY lower(name), id`)
	if err != nil {
		return nil, fmt.Errorf("read the roster: %w", unavailable(err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the roster: %w", unavailable(err))
	}
	return names, nil
}
