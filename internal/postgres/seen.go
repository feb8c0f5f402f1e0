package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// LastSeen says when each member's latest session was used, wall time; who has
// no session left is absent. Every member of the team may see it.
func (db *DB) LastSeen(ctx context.Context, by disclosure.Caller) (map[disclosure.MemberID]time.Time, error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	rows, err := db.pool.Query(ctx, `SELECT member, max(seen) FROM session GROUP BY member`)
	if err != nil {
		return nil, fmt.Errorf("read when members were seen: %w", unavailable(err))
	}
	seen := map[disclosure.MemberID]time.Time{}
	var id disclosure.MemberID
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error { seen[id] = at.UTC(); return nil }); err != nil {
		return nil, fmt.Errorf("read when members were seen: %w", unavailable(err))
	}
	return seen, nil
}
