package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// LogQuery chooses rows of the log; empty fields choose all.
type LogQuery struct {
	Member disclosure.MemberID
	Object string
	Number int    // of a case
	Type   string // a whole type, or with a dot at its end all of a kind: "case."
	Before int64  // rows older than this number; 0: from the newest
	Limit  int    // 0: 100; at most 500
}

// LogRow is one row of the log.
type LogRow struct {
	N       int64
	At      time.Time
	Actor   string
	Member  disclosure.MemberID
	Type    string
	Object  string // an id
	Number  int    // of the case that the object is, or belongs to; 0: it is none
	Part    string // what the object is of the case: "arrival", "file"; empty: the case
	Details string // JSON of what was noted; empty: nothing, or not to be opened now
}

// Log reads the log, newest first. Auditors and admins; what concerns a
// restricted case the caller may not see is absent.
func (db *DB) Log(ctx context.Context, by disclosure.Caller, q LogQuery) ([]LogRow, error) {
	if !by.Can(disclosure.Auditor) && !by.Can(disclosure.Admin) {
		return nil, disclosure.ErrForbidden
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	where := []string{"true"}
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(args))))
	}
	if q.Member != "" {
		add("l.member = ?", string(q.Member))
	}
	if q.Object != "" {
		add("l.object = ?", q.Object)
	}
	if q.Number > 0 {
		add("l.object = (SELECT id FROM cases WHERE number = ?)", q.Number)
	}
	if strings.HasSuffix(q.Type, ".") {
		add("starts_with(l.type, ?)", q.Type)
	} else if q.Type != "" {
		add("l.type = ?", q.Type)
	}
	if q.Before > 0 {
		add("l.n < ?", q.Before)
	}
	if !by.IsSystem() {
		// By the case itself, or by what belongs to it or to its release.
		add(`NOT EXISTS (SELECT FROM cases c WHERE c.restricted AND NOT `+visibleTo("c", "?", "?")+` AND (c.id = l.object
			OR EXISTS (SELECT FROM arrival x WHERE x.id = l.object AND x.case_id = c.id)
			OR EXISTS (SELECT FROM file x WHERE x.id = l.object AND (x.case_id = c.id OR x.release = c.release))
			OR c.release = l.object
			OR EXISTS (SELECT FROM notice x WHERE x.id = l.object AND x.release = c.release)
			OR EXISTS (SELECT FROM delivery x JOIN notice y ON y.id = x.notice WHERE x.id = l.object AND y.release = c.release)))`, string(by.Member))
		off, err := db.hiddenCalledOff(ctx, by)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if len(off) > 0 {
			add(`NOT EXISTS (SELECT FROM unnest(?::text[]) c (release) WHERE c.release = l.object
				OR EXISTS (SELECT FROM file x WHERE x.id = l.object AND x.release = c.release)
				OR EXISTS (SELECT FROM notice x WHERE x.id = l.object AND x.release = c.release)
				OR EXISTS (SELECT FROM delivery x JOIN notice y ON y.id = x.notice WHERE x.id = l.object AND y.release = c.release))`, off)
		}
	}
	rows, err := db.pool.Query(ctx, `SELECT l.n, l.at, l.actor, coalesce(l.member, ''), l.type, l.object, coalesce(k.number, 0),
		CASE WHEN a.id IS NOT NULL THEN 'arrival' WHEN f.id IS NOT NULL THEN 'file' ELSE '' END, l.vault, l.sealed
		FROM log l LEFT JOIN arrival a ON a.id = l.object LEFT JOIN file f ON f.id = l.object
			LEFT JOIN cases k ON k.id = coalesce(a.case_id, f.case_id, l.object)
		WHERE `+strings.Join(where, " AND ")+` ORDER BY l.n DESC LIMIT `+strconv.Itoa(min(q.Limit, 500)), args...)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l LogRow, err error) {
		var toVault bool
		var sealed []byte
		if err := r.Scan(&l.N, &l.At, &l.Actor, &l.Member, &l.Type, &l.Object, &l.Number, &l.Part, &toVault, &sealed); err != nil {
			return l, err
		}
		l.At, l.Details = l.At.UTC(), db.openDetails(l.Type, l.Object, toVault, sealed)
		return l, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", unavailable(err))
	}
	return list, nil
}

// hiddenCalledOff are the called off releases that had a case hidden from the
// caller. Only their sealed card remembers their cases: one that cannot be
// opened now counts as hidden, while there is anything to hide.
func (db *DB) hiddenCalledOff(ctx context.Context, by disclosure.Caller) ([]string, error) {
	rows, err := db.pool.Query(ctx, `SELECT c.id FROM cases c WHERE NOT `+visibleTo("c", "$1", "$1"), string(by.Member))
	if err != nil {
		return nil, unavailable(err)
	}
	hidden, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.CaseID])
	if err != nil || len(hidden) == 0 {
		return nil, unavailable(err)
	}
	rows, err = db.pool.Query(ctx, `SELECT id, wrapped_key, key_version, card FROM release WHERE state = 'called off'`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var id string
		var wrapped, sealed []byte
		var version int
		if err := rows.Scan(&id, &wrapped, &version, &sealed); err != nil {
			return nil, unavailable(err)
		}
		var card releaseCard
		key, err := db.openOwnerKey("release", id, wrapped, version)
		if err == nil {
			err = openJSON(key, db.aad("release", "card", id, id, version), sealed, &card)
		}
		if err != nil || slices.ContainsFunc(card.Cases, func(c disclosure.CaseID) bool { return slices.Contains(hidden, c) }) {
			list = append(list, id)
		}
	}
	return list, unavailable(rows.Err())
}

// openDetails opens a payload when it can; the chain, not this, says whether a
// row is whole.
func (db *DB) openDetails(kind, object string, toVault bool, sealed []byte) string {
	var b []byte
	var err error
	if toVault {
		if v := db.vault.Load(); v != nil {
			b, err = v.OpenSealed(db.logInfo(entry{kind: kind, object: object}), sealed)
		}
	} else if desk, locked := db.deskKey(); locked == nil {
		b, err = desk.Open(db.aad("log", "sealed", object, kind, 1), sealed)
	}
	if err != nil || string(b) == "null" {
		return ""
	}
	return string(b)
}

// LogCheck is what walking the chain found.
type LogCheck struct {
	Rows   int64
	Broken int64  // number of the first row that does not fit; 0: none
	Why    string // what does not fit
}

// VerifyLog walks the whole chain in one snapshot and names the first broken
// row. It needs no unlocked vault: the chain runs over ciphertext. It finds
// rows altered, left out, added or moved; not a log that was cut off together
// with its head, for which an older copy of the head is needed.
func (db *DB) VerifyLog(ctx context.Context) (check LogCheck, err error) {
	err = db.read(ctx, disclosure.System("log"), func(t *tx) error {
		check = LogCheck{}
		var last int64
		var head []byte
		if err := t.QueryRow(ctx, `SELECT n, hash FROM log_head`).Scan(&last, &head); err != nil {
			return fmt.Errorf("read the log's head: %w", notFound(err))
		}
		prev := []byte{}
		broken := func(n int64, why string) {
			if check.Broken == 0 {
				check.Broken, check.Why = n, why
			}
		}
		rows, err := t.Query(ctx, `SELECT n, at, actor, coalesce(member, ''), type, object, vault, sealed, prev, hash FROM log ORDER BY n`)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			var at time.Time
			var actor, member, kind, object string
			var toVault bool
			var sealed, before, hash []byte
			if err := rows.Scan(&n, &at, &actor, &member, &kind, &object, &toVault, &sealed, &before, &hash); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
			check.Rows++
			switch {
			case n != check.Rows:
				broken(check.Rows, "the row is missing")
			case !bytes.Equal(before, prev):
				broken(n, "it does not follow the row before")
			case !bytes.Equal(hash, chain(prev, n, at, actor, member, kind, object, toVault, sealed)):
				broken(n, "the row was altered")
			}
			if check.Broken != 0 {
				return nil
			}
			prev = hash
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if last != check.Rows || !bytes.Equal(head, prev) {
			broken(check.Rows+1, "rows at the end are missing")
		}
		return nil
	})
	return check, err
}
