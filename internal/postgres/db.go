// Package postgres keeps everything, sealed. One file owns each table's SQL.
// Every method takes the caller: permission, rule, history, log and the work
// that follows are one transaction. Lock order everywhere: edition → release →
// cases by id → notices → deliveries; the log's head is locked last.
//
// Nothing here calls the database's clock. Time is the program's, moved by one
// row that only the demo and tests raise.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// ErrUnavailable wraps every error that means the database did not answer, so
// that a door can say "not stored" instead of guessing.
var ErrUnavailable = errors.New("the database did not answer")

// Config says how to reach the database as the desk.
type Config struct {
	URL    string           // a pgx connection string; multi-host ones work
	Wall   func() time.Time // wall time; nil: time.Now
	Worker string           // names this process in the journal; "": a random one
	Log    *slog.Logger     // nil: discarded
	Pool   int32            // most connections; 0: 10
	Spool  string           // folder for files while they come, sealed; "": the system's for temporary files
	Site   string           // the gate's URL, for what is rendered; no trailing slash
}

// DB is the desk's and work's way to the database. Safe for concurrent use.
type DB struct {
	pool     *pgxpool.Pool
	vault    atomic.Pointer[vault.Vault]
	wall     func() time.Time
	moved    atomic.Int64 // nanoseconds the demo's time is ahead of wall
	worker   string
	instance vault.InstanceID
	log      *slog.Logger
	site     string
	policies policies
	beat     beat
	spool    string // folder for files that are coming
	sending  struct {
		mu   sync.Mutex
		pool *pgxpool.Pool // nil until the first delivery
		tell sync.Mutex    // one at a time moves a release to notified
	}
}

// Open connects, checks that the schema is the one this program knows, and
// loads the vault, locked. A database without an instance opens too; only
// Setup can be called then.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Worker == "" {
		c.Worker = disclosure.NewID()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	conf, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", redact(err))
	}
	if c.Pool > 0 {
		conf.MaxConns = c.Pool
	} else if conf.MaxConns < 10 {
		conf.MaxConns = 10
	}
	conf.ConnConfig.RuntimeParams["application_name"] = "postern"
	conf.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", redact(err))
	}
	db := &DB{pool: pool, wall: c.Wall, worker: c.Worker, log: c.Log, site: c.Site, spool: c.Spool}
	if err := checkSchema(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	if err := db.loadInstance(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

// redact keeps a password that stands in a connection string out of errors.
func redact(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the connection string cannot be read; write it as postgres://login@host/database")
	}
	return err
}

// Close waits for the connections in use.
func (db *DB) Close() {
	db.sending.mu.Lock()
	if db.sending.pool != nil {
		db.sending.pool.Close()
	}
	db.sending.mu.Unlock()
	db.pool.Close()
}

// Pool is for the benchmarks and for tests of the schema.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Vault is nil before Setup.
func (db *DB) Vault() *vault.Vault { return db.vault.Load() }

// Instance is empty before Setup.
func (db *DB) Instance() vault.InstanceID { return db.instance }

// Now is the time everything that waits obeys: wall time plus what the demo moved.
// It has the precision the database keeps.
func (db *DB) Now() time.Time {
	return db.wall().Add(time.Duration(db.moved.Load())).UTC().Truncate(time.Microsecond)
}

// Wall is wall time, for second factors, sessions and network deadlines.
func (db *DB) Wall() time.Time { return db.wall().UTC().Truncate(time.Microsecond) }

// Tx is one transaction with the rows for the log it has gathered.
type tx struct {
	pgx.Tx
	db  *DB
	by  disclosure.Caller
	now time.Time
	log []entry
	// keys of the cases and releases loaded in this transaction
	keys map[string]vault.Key
	// what the cases loaded in it were before
	was map[disclosure.CaseID]caseBefore
}

// transact runs f in one transaction and appends what f noted to the log,
// last, so that the head of the chain is locked only for the commit. f may run
// again after a deadlock or a serialization failure, and so must not touch
// what lives outside it.
func (db *DB) transact(ctx context.Context, by disclosure.Caller, f func(*tx) error) error {
	var err error
	for range 4 {
		err = db.once(ctx, by, f)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || (pg.Code != "40P01" && pg.Code != "40001") {
			break
		}
	}
	return unavailable(err)
}

func (db *DB) once(ctx context.Context, by disclosure.Caller, f func(*tx) error) error {
	return pgx.BeginFunc(ctx, db.pool, func(p pgx.Tx) error {
		t := &tx{Tx: p, db: db, by: by, now: db.Now(), keys: map[string]vault.Key{}, was: map[disclosure.CaseID]caseBefore{}}
		if err := f(t); err != nil {
			return err
		}
		return t.appendLog(ctx)
	})
}

// read runs f in a read-only snapshot; nothing can be logged in it.
func (db *DB) read(ctx context.Context, by disclosure.Caller, f func(*tx) error) error {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return unavailable(pgx.BeginTxFunc(ctx, db.pool, opts, func(p pgx.Tx) error {
		return f(&tx{Tx: p, db: db, by: by, now: db.Now(), keys: map[string]vault.Key{}, was: map[disclosure.CaseID]caseBefore{}})
	}))
}

// unavailable marks errors that mean the server is not there: everything that
// is neither an answer of the server's own nor ours.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "53", "57", "58", "08": // no resources, going down, system error, connection
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// notFound turns pgx's word into the domain's.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return disclosure.ErrNotFound
	}
	return err
}

// notify wakes whoever waits on the channel, after the commit. Payloads are
// always empty.
func (t *tx) notify(ctx context.Context, channel string) error {
	_, err := t.Exec(ctx, "SELECT pg_notify($1, '')", channel)
	return err
}

// Channels of notify: work listens to one, the gates to the other.
const (
	ChannelWork    = "postern_work"
	ChannelEdition = "postern_edition"
)
