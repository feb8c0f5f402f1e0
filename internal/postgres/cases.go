package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/disclosure"
)

// CaseDraft is a case a member enters, of what was told by telephone or found.
type CaseDraft struct {
	Title    string
	Text     string    // first note; may be empty
	Received time.Time // zero: now
	Name     string    // of the reporter; empty with Address: no reporter
	Address  string
}

// CreateCase makes a case without an arrival. Triagers only.
func (db *DB) CreateCase(ctx context.Context, by disclosure.Caller, d CaseDraft) (id disclosure.CaseID, number int, err error) {
	if !by.Can(disclosure.Triager) {
		return "", 0, disclosure.ErrForbidden
	}
	id = disclosure.CaseID(disclosure.NewID())
	err = db.transact(ctx, by, func(t *tx) error {
		if d.Received.IsZero() {
			d.Received = t.now
		}
		if d.Received.After(t.now) {
			return disclosure.Refuse("received", "A report cannot have come in the future.")
		}
		c, wrapped, err := t.newCase(ctx, id, disclosure.ByMember, disclosure.Protection{}, d.Received)
		if err != nil {
			return err
		}
		number = c.Number
		if err := c.SetTitle(d.Title, by, t.now); err != nil {
			return err
		}
		if d.Name != "" || d.Address != "" {
			r := disclosure.Reporter{Received: d.Received, Channel: disclosure.ByMember, Name: d.Name, Address: d.Address}
			if err := c.AddReporter(r, by, t.now); err != nil {
				return err
			}
		}
		if err := t.insertCase(ctx, c, wrapped); err != nil {
			return err
		}
		if strings.TrimSpace(d.Text) == "" {
			return nil
		}
		return t.insertMessage(ctx, disclosure.Message{
			ID: disclosure.MessageID(disclosure.NewID()), Case: id, Lane: disclosure.Lane{Kind: disclosure.LaneTeam},
			State: disclosure.MessageNote, At: t.now, Author: by.Name, Member: by.Member, Text: d.Text,
		})
	})
	return id, number, err
}

// newCase begins a case under the current policy. It is not stored yet.
func (t *tx) newCase(ctx context.Context, id disclosure.CaseID, channel disclosure.Channel, p disclosure.Protection, received time.Time) (*disclosure.Case, []byte, error) {
	policy, err := t.db.currentPolicy(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	wrapped, err := t.newCaseKey(id)
	if err != nil {
		return nil, nil, err
	}
	n, err := t.nextNumber(ctx)
	if err != nil {
		return nil, nil, err
	}
	return disclosure.NewCase(id, n, channel, p, received, policy), wrapped, nil
}

// Case opens a case; that it was read is logged. One the caller may not see is
// ErrNotFound.
func (db *DB) Case(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (c *disclosure.Case, err error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	err = db.transact(ctx, by, func(t *tx) error {
		c, err = t.visibleCase(ctx, id, false)
		if err != nil {
			return err
		}
		return t.opened(ctx, "case.read", string(id))
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// CaseByNumber is Case by the number members use.
func (db *DB) CaseByNumber(ctx context.Context, by disclosure.Caller, number int) (*disclosure.Case, error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	// A case that is hidden from the caller is not found either, in the same time.
	var id disclosure.CaseID
	err := db.pool.QueryRow(ctx, `SELECT id FROM cases c WHERE number = $1
		AND (NOT restricted OR $2 OR owner = $3 OR EXISTS (SELECT FROM case_access a WHERE a.case_id = c.id AND a.member = $3))`,
		number, by.IsSystem(), by.Member).Scan(&id)
	if err != nil {
		return nil, fmt.Errorf("find case #%d: %w", number, unavailable(notFound(err)))
	}
	return db.Case(ctx, by, id)
}

// visibleCase is loadCase for what the caller may see.
func (t *tx) visibleCase(ctx context.Context, id disclosure.CaseID, lock bool) (*disclosure.Case, error) {
	c, err := t.loadCase(ctx, id, lock)
	if err != nil {
		return nil, err
	}
	if !c.VisibleTo(t.by) {
		return nil, fmt.Errorf("load case %s: %w", id, disclosure.ErrNotFound)
	}
	return c, nil
}

// errMoved: the case went into or out of a release between looking and locking.
var errMoved = errors.New("the case changed its release meanwhile")

// UpdateCase locks the case (after its release, when it is in one), lets
// change call methods on it, and saves it with its history, alerts, statuses
// in mailboxes and times. change may run again and must only touch the case.
// Its error is returned and nothing is saved. Embargoed and disclosed are
// reached through a release alone.
func (db *DB) UpdateCase(ctx context.Context, by disclosure.Caller, id disclosure.CaseID, change func(*disclosure.Case) error) error {
	return db.withCase(ctx, by, id, func(t *tx, c *disclosure.Case) error {
		from, release := c.State, c.Release
		if err := change(c); err != nil {
			return err
		}
		if from != c.State && (c.State == disclosure.Embargoed || c.State == disclosure.Disclosed || from == disclosure.Embargoed) ||
			c.Release != release {
			return disclosure.Refuse("state", "This step is taken through the case's release.")
		}
		return t.saveCase(ctx, c)
	})
}

// withCase runs f with the case locked in lock order, and visible.
func (db *DB) withCase(ctx context.Context, by disclosure.Caller, id disclosure.CaseID, f func(*tx, *disclosure.Case) error) error {
	if !mayOpen(by) {
		return disclosure.ErrForbidden
	}
	var err error
	for range 4 {
		err = db.transact(ctx, by, func(t *tx) error {
			c, err := t.lockCase(ctx, id)
			if err != nil {
				return err
			}
			return f(t, c)
		})
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return disclosure.ErrStale
}

// lockCase locks the case's release, when it is in one, and then the case.
func (t *tx) lockCase(ctx context.Context, id disclosure.CaseID) (*disclosure.Case, error) {
	var release *disclosure.ReleaseID
	err := t.QueryRow(ctx, `SELECT release FROM cases WHERE id = $1`, id).Scan(&release)
	if err != nil {
		return nil, fmt.Errorf("find case %s: %w", id, notFound(err))
	}
	if release != nil {
		if _, err := t.Exec(ctx, `SELECT FROM release WHERE id = $1 FOR NO KEY UPDATE`, *release); err != nil {
			return nil, fmt.Errorf("lock release %s: %w", *release, err)
		}
	}
	c, err := t.visibleCase(ctx, id, true)
	if err != nil {
		return nil, err
	}
	if (release == nil) != (c.Release == nil) || release != nil && *release != c.Release.ID {
		return nil, errMoved
	}
	return c, nil
}

// Timeline is the history of a case, oldest first; reading it counts as
// reading the case.
func (db *DB) Timeline(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (events []disclosure.Event, err error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	err = db.transact(ctx, by, func(t *tx) error {
		if _, err := t.visibleCase(ctx, id, false); err != nil {
			return err
		}
		if events, err = t.loadEvents(ctx, owner{Case: id}, t.keys[string(id)]); err != nil {
			return err
		}
		return t.opened(ctx, "case.read", string(id))
	})
	return events, err
}

// MergeCases takes the reporters of from into the other case, each with own
// thread, and closes from as a duplicate. What was said stays readable in
// both: entries of a reporter's lane move with the reporter.
func (db *DB) MergeCases(ctx context.Context, by disclosure.Caller, from, into disclosure.CaseID) error {
	return db.withTwo(ctx, by, from, into, func(t *tx, a, b *disclosure.Case) ([]disclosure.ReporterID, disclosure.CaseID, error) {
		moving := reporterIDs(a)
		return moving, into, b.Merge(a, by, t.now)
	})
}

// SplitCases undoes MergeCases: from gets its reporters back, with what they
// have said since.
func (db *DB) SplitCases(ctx context.Context, by disclosure.Caller, from, into disclosure.CaseID) error {
	return db.withTwo(ctx, by, from, into, func(t *tx, a, b *disclosure.Case) ([]disclosure.ReporterID, disclosure.CaseID, error) {
		err := b.Split(a, by, t.now)
		return reporterIDs(a), from, err
	})
}

func reporterIDs(c *disclosure.Case) []disclosure.ReporterID {
	ids := make([]disclosure.ReporterID, len(c.Reporters))
	for i, r := range c.Reporters {
		ids[i] = r.ID
	}
	return ids
}

func (db *DB) withTwo(ctx context.Context, by disclosure.Caller, from, into disclosure.CaseID,
	f func(t *tx, from, into *disclosure.Case) ([]disclosure.ReporterID, disclosure.CaseID, error)) error {
	if !mayOpen(by) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		ids := []disclosure.CaseID{from, into}
		// The releases of either, by id, stand before the cases in the lock order.
		_, err := t.Exec(ctx, `SELECT FROM release WHERE id IN (SELECT release FROM cases WHERE id = ANY($1)) ORDER BY id FOR NO KEY UPDATE`, ids)
		if err != nil {
			return fmt.Errorf("lock the releases: %w", err)
		}
		list, err := t.loadCases(ctx, ids, true)
		if err != nil {
			return err
		}
		var a, b *disclosure.Case
		for _, c := range list {
			if c.ID == from {
				a = c
			}
			if c.ID == into {
				b = c
			}
		}
		if a == nil || b == nil || !a.VisibleTo(by) || !b.VisibleTo(by) {
			return disclosure.ErrNotFound
		}
		moving, target, err := f(t, a, b)
		if err != nil {
			return err
		}
		source, goal := a, b
		if target == a.ID {
			source, goal = b, a
		}
		if err := t.moveLanes(ctx, moving, source, goal); err != nil {
			return err
		}
		for _, c := range []*disclosure.Case{b, a} {
			if err := t.saveCase(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}
