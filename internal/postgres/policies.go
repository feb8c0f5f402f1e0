package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// policies caches parsed versions: a version never changes once it is applied.
type policies struct {
	mu      sync.Mutex
	parse   func([]byte) (*disclosure.Policy, error)
	version map[int]*disclosure.Policy
}

// SetPolicyParser says how a policy's text is read. It is called once, before
// anything else; without it every call that needs a policy fails.
func (db *DB) SetPolicyParser(parse func([]byte) (*disclosure.Policy, error)) {
	db.policies.mu.Lock()
	defer db.policies.mu.Unlock()
	db.policies.parse, db.policies.version = parse, nil
}

func (db *DB) parsePolicy(version int, toml string) (*disclosure.Policy, error) {
	db.policies.mu.Lock()
	parse := db.policies.parse
	db.policies.mu.Unlock()
	if parse == nil {
		return nil, errors.New("no parser of policies was set")
	}
	p, err := parse([]byte(toml))
	if err != nil {
		return nil, err
	}
	p.Version = version
	return p, nil
}

// PolicyVersion is one applied policy as it was written.
type PolicyVersion struct {
	Version int
	TOML    string
	Applied time.Time
	By      string
}

// ApplyPolicy makes the text the current policy and returns it parsed, with
// its version. Every fault of the text is in the error, as the parser says
// it. The same text as the current one changes nothing. Cases and releases
// that exist keep the version they run under. Only an admin may.
func (db *DB) ApplyPolicy(ctx context.Context, by disclosure.Caller, toml []byte) (*disclosure.Policy, error) {
	if err := db.mayAdminister(by); err != nil {
		return nil, err
	}
	if _, err := db.parsePolicy(0, string(toml)); err != nil {
		return nil, err
	}
	var version int
	err := db.transact(ctx, by, func(t *tx) error {
		var last string
		// One at a time, so that versions have no gaps and no ties.
		if _, err := t.Exec(ctx, `LOCK TABLE policy IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock the policies: %w", err)
		}
		err := t.QueryRow(ctx, `SELECT version, toml FROM policy ORDER BY version DESC LIMIT 1`).Scan(&version, &last)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the current policy: %w", err)
		}
		if version > 0 && last == string(toml) {
			return nil
		}
		version++
		if _, err := t.Exec(ctx, `INSERT INTO policy (version, toml, applied, by_name) VALUES ($1, $2, $3, $4)`,
			version, string(toml), t.now, by.Name); err != nil {
			return fmt.Errorf("store policy %d: %w", version, err)
		}
		t.note("policy.applied", fmt.Sprint(version), nil)
		return t.notify(ctx, ChannelWork)
	})
	if err != nil {
		return nil, err
	}
	return db.Policy(ctx, version)
}

// Policy returns one applied version. The value is shared: do not change it.
func (db *DB) Policy(ctx context.Context, version int) (*disclosure.Policy, error) {
	return db.policy(ctx, db.pool, version)
}

// queryer is a pool, a connection or a transaction.
type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (db *DB) policy(ctx context.Context, q queryer, version int) (*disclosure.Policy, error) {
	db.policies.mu.Lock()
	p := db.policies.version[version]
	db.policies.mu.Unlock()
	if p != nil {
		return p, nil
	}
	var toml string
	if err := q.QueryRow(ctx, `SELECT toml FROM policy WHERE version = $1`, version).Scan(&toml); err != nil {
		return nil, fmt.Errorf("read policy %d: %w", version, unavailable(notFound(err)))
	}
	p, err := db.parsePolicy(version, toml)
	if err != nil {
		return nil, fmt.Errorf("read policy %d: %w", version, err)
	}
	db.policies.mu.Lock()
	defer db.policies.mu.Unlock()
	if db.policies.version == nil {
		db.policies.version = make(map[int]*disclosure.Policy)
	}
	db.policies.version[version] = p
	return p, nil
}

// CurrentPolicy is the newest version; disclosure.ErrNotFound when none was
// ever applied. The value is shared: do not change it.
func (db *DB) CurrentPolicy(ctx context.Context) (*disclosure.Policy, error) {
	return db.currentPolicy(ctx, db.pool)
}

func (db *DB) currentPolicy(ctx context.Context, q queryer) (*disclosure.Policy, error) {
	var version *int
	if err := q.QueryRow(ctx, `SELECT max(version) FROM policy`).Scan(&version); err != nil {
		return nil, fmt.Errorf("ask for the current policy: %w", unavailable(err))
	}
	if version == nil {
		return nil, fmt.Errorf("no policy was applied: %w", disclosure.ErrNotFound)
	}
	return db.policy(ctx, q, *version)
}

// Policies lists every version as written, newest first.
func (db *DB) Policies(ctx context.Context, by disclosure.Caller) ([]PolicyVersion, error) {
	rows, err := db.pool.Query(ctx, `SELECT version, toml, applied, by_name FROM policy ORDER BY version DESC`)
	if err != nil {
		return nil, fmt.Errorf("list the policies: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PolicyVersion])
	if err != nil {
		return nil, fmt.Errorf("list the policies: %w", unavailable(err))
	}
	return list, nil
}
