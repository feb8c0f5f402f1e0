package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// Period is what came in one stretch of time, and what became of it until now.
// It goes by the time of receipt, in UTC.
type Period struct {
	From time.Time // inclusive
	To   time.Time // exclusive

	Received  int
	Open      int // neither disclosed nor closed
	Disclosed int
	Verdicts  map[disclosure.Verdict]int // of those closed

	Median   time.Duration // from receipt to the first answer; of those answered
	Answered int
	InTime   int // answered within what the policy of their day promises
	Due      int // promises that were kept or broken by now
}

// Rejected counts what the reporter was told no about. To be asked to file
// publicly is no rejection, and is counted apart.
func (p Period) Rejected() int {
	n := 0
	for v, k := range p.Verdicts {
		if v.Rejects() {
			n += k
		}
	}
	return n
}

// Figures counts the cases that the caller may see, by year or by quarter, the
// newest first. A restricted case of others changes no figure. Times and states
// are plain columns; only the cards of closed cases are opened, for their
// verdicts, and nothing is logged.
func (db *DB) Figures(ctx context.Context, by disclosure.Caller, quarters bool) ([]Period, error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	sql, args := `SELECT c.id, c.received, c.state, c.policy_version, a.at, c.key_version,
			CASE WHEN c.state = 'closed' THEN c.wrapped_key END, CASE WHEN c.state = 'closed' THEN c.card END
		FROM cases c LEFT JOIN (SELECT case_id, min(at) AS at FROM event WHERE kind = $1 GROUP BY case_id) a ON a.case_id = c.id`,
		[]any{string(disclosure.EventAcknowledged)}
	if !by.IsSystem() {
		sql, args = sql+` WHERE `+visibleTo("c", "$2", "$2"), append(args, string(by.Member))
	}
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("count the cases: %w", unavailable(err))
	}
	type counted struct {
		received, answered time.Time
		state              disclosure.CaseState
		policy             int
		verdict            disclosure.Verdict
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c counted, err error) {
		var id string
		var answered *time.Time
		var version int
		var wrapped, sealed []byte
		if err := r.Scan(&id, &c.received, &c.state, &c.policy, &answered, &version, &wrapped, &sealed); err != nil {
			return c, err
		}
		c.received, c.answered = c.received.UTC(), timeOf(answered)
		if sealed == nil {
			return c, nil
		}
		key, err := desk.Unwrap(db.aad("cases", "wrapped_key", id, "", version), wrapped)
		if err != nil {
			return c, fmt.Errorf("unwrap the key of a case: %w", err)
		}
		var card caseCard
		err = openJSON(key, db.aad("cases", "card", id, id, version), sealed, &card)
		c.verdict = card.Verdict
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count the cases: %w", unavailable(err))
	}
	now := db.Now()
	byStart, took := map[time.Time]*Period{}, map[time.Time][]time.Duration{}
	for _, c := range all {
		from, to := stretch(c.received, quarters)
		p := byStart[from]
		if p == nil {
			p = &Period{From: from, To: to, Verdicts: map[disclosure.Verdict]int{}}
			byStart[from] = p
		}
		p.Received++
		switch c.state {
		case disclosure.Closed:
			p.Verdicts[c.verdict]++
		case disclosure.Disclosed:
			p.Disclosed++
		default:
			p.Open++
		}
		if !c.answered.IsZero() {
			p.Answered++
			took[from] = append(took[from], c.answered.Sub(c.received))
		}
		policy, err := db.policy(ctx, db.pool, c.policy)
		if err != nil {
			return nil, err
		}
		if policy.Ack.Within.IsZero() {
			continue
		}
		due := policy.Ack.Within.After(c.received, policy.Calendar)
		switch {
		case !c.answered.IsZero() && !c.answered.After(due):
			p.InTime++
			p.Due++
		case !c.answered.IsZero(), c.state != disclosure.Closed && now.After(due):
			p.Due++
		}
	}
	list := make([]Period, 0, len(byStart))
	for from, p := range byStart {
		p.Median = median(took[from])
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b Period) int { return b.From.Compare(a.From) })
	return list, nil
}

// stretch is the year or quarter a moment lies in.
func stretch(at time.Time, quarters bool) (from, to time.Time) {
	if !quarters {
		from = time.Date(at.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(1, 0, 0)
	}
	from = time.Date(at.Year(), (at.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 3, 0)
}

// median is the middle one; of an even number, the mean of the middle two.
func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	i := len(list) / 2
	if len(list)%2 == 1 {
		return list[i]
	}
	return (list[i-1] + list[i]) / 2
}
