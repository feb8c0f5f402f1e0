// Package gatedb is the ten things the gate may do with the database, and
// nothing else: it logs in as postern_gate, which can add arrivals and read
// what is public or sealed to somebody outside. No name in this package leads
// to a case. Whoever takes the gate over has this login and no more; see
// docs/gate-login.md.
package gatedb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/disclosure"
)

// ErrUnavailable wraps every error that means the database did not take what
// was given to it: it is not there, going down, or has no room left. The door
// answers "not stored".
var ErrUnavailable = errors.New("the database did not answer")

// DB is the gate's login. Safe for concurrent use.
type DB struct{ pool *pgxpool.Pool }

// Open connects at the first use; it fails only when the URL cannot be read.
func Open(ctx context.Context, url string) (*DB, error) {
	conf, err := pgxpool.ParseConfig(url)
	if err != nil { // the error may hold a password
		return nil, errors.New("the gate's connection string cannot be read; write it as postgres://login@host/database")
	}
	if conf.MaxConns < 10 {
		conf.MaxConns = 10
	}
	conf.ConnConfig.RuntimeParams["application_name"] = "postern-gate"
	conf.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &DB{pool}, nil
}

// Close waits for the connections in use.
func (db *DB) Close() { db.pool.Close() }

// Ping asks whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return unavailable(db.pool.Ping(ctx)) }

// SchemaVersion is the newest step the database has taken.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	var v int64
	err := db.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", unavailable(err))
	}
	return v, nil
}

// Arrival is what is plain of an arrival, and its sealed header.
type Arrival struct {
	ID            disclosure.ArrivalID
	Kind          disclosure.ArrivalKind
	Channel       disclosure.Channel
	Received      time.Time // to the microsecond; it is bound into what is sealed
	VaultKey      string
	Encapsulation []byte
	Header        []byte
}

// Chunk is one sealed piece of an arrival's body, numbered from 0.
type Chunk struct {
	N      int
	Final  bool
	Sealed []byte
}

// batchBytes is how much of a body is sent to the server at once, and held for
// that several times over.
const batchBytes = 1 << 20

const (
	insertArrival = `INSERT INTO arrival (id, kind, channel, received, vault_key, encapsulation, header) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	insertChunk   = `INSERT INTO arrival_chunk (arrival, n, final, sealed) VALUES ($1, $2, $3, $4)`
)

// InsertArrival stores an arrival and all of its body in one transaction, and
// returns once it is committed. An arrival with this id that is there already
// is left as it is: received is then when that one came and again is true, so
// that a repeated request gets the answer of the first. chunks may then not
// have been read. An error of chunks is returned as it is and stores nothing.
func (db *DB) InsertArrival(ctx context.Context, a Arrival, chunks iter.Seq2[Chunk, error]) (received time.Time, again bool, err error) {
	pull, stop := iter.Pull2(chunks)
	defer stop()
	var broken error // the body's, not the database's
	next := func() (Chunk, error, bool) {
		c, err, ok := pull()
		broken = err
		return c, err, ok
	}
	first := &pgx.Batch{}
	first.Queue(insertArrival, a.ID, a.Kind, a.Channel, a.Received.UTC(), a.VaultKey, a.Encapsulation, a.Header)
	whole, err := fill(first, a.ID, next)
	if err != nil {
		return time.Time{}, false, err
	}
	if whole {
		err = db.pool.SendBatch(ctx, first).Close() // one implicit transaction
	} else {
		err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error { return insertAll(ctx, tx, first, a.ID, next) })
	}
	if broken != nil {
		return time.Time{}, false, broken
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" && pg.ConstraintName == "arrival_pkey" {
		err := db.pool.QueryRow(ctx, `SELECT arrival_received($1)`, a.ID).Scan(&received)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("ask when arrival %s came: %w", a.ID, unavailable(err))
		}
		return received.UTC(), true, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("store arrival %s: %w", a.ID, unavailable(err))
	}
	return a.Received.UTC(), false, nil
}

// insertAll sends what does not fit one batch, batch by batch.
func insertAll(ctx context.Context, tx pgx.Tx, batch *pgx.Batch, id disclosure.ArrivalID, next func() (Chunk, error, bool)) error {
	for whole := false; ; {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		if whole {
			return nil
		}
		batch = &pgx.Batch{}
		var err error
		if whole, err = fill(batch, id, next); err != nil {
			return err
		}
	}
}

// fill queues chunks up to batchBytes and says whether that was the last one.
func fill(batch *pgx.Batch, id disclosure.ArrivalID, next func() (Chunk, error, bool)) (whole bool, err error) {
	for size := 0; size < batchBytes; {
		c, err, ok := next()
		if err != nil {
			return false, err
		}
		if !ok {
			return true, nil
		}
		batch.Queue(insertChunk, id, c.N, c.Final, c.Sealed)
		if c.Final {
			return true, nil
		}
		size += len(c.Sealed)
	}
	return false, nil
}

// Item is one sealed thing in a mailbox.
type Item struct {
	ID     string
	Kind   disclosure.MailboxItemKind
	At     time.Time
	Sealed []byte
}

// MailboxRead returns what lies in a mailbox, oldest first, without the files
// of replies; with item it is that one alone, which may be such a file. A
// mailbox that does not exist and one nobody has opened yet are both empty, and
// so is an item of another mailbox.
func (db *DB) MailboxRead(ctx context.Context, box disclosure.MailboxID, item string) ([]Item, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, kind, at, sealed FROM mailbox_read($1, $2)`, box, item)
	if err != nil {
		return nil, fmt.Errorf("read a mailbox: %w", unavailable(err))
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Item])
	if err != nil {
		return nil, fmt.Errorf("read a mailbox: %w", unavailable(err))
	}
	return items, nil
}

// PublicKey is the vault's public half, or a certificate of the team's.
type PublicKey struct {
	ID      string
	Kind    string // "vault", "team"
	Public  []byte
	Created time.Time
	Retired *time.Time // nil: current
}

// PublicKeys returns current and retired ones, newest first.
func (db *DB) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, kind, public, created, retired FROM public_key
		ORDER BY retired IS NOT NULL, created DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("read the public keys: %w", unavailable(err))
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PublicKey])
	if err != nil {
		return nil, fmt.Errorf("read the public keys: %w", unavailable(err))
	}
	return keys, nil
}

// unavailable marks errors that mean the server is not there or has no room:
// everything that is neither an answer of the server's own nor ours.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	// A server that lets nobody in (not accepting connections, no such
	// database, a wrong password) has answered, but took nothing.
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "53", "57", "58", "08": // no resources (53100: disk full), going down, system error, connection
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if pg.Code == "25006" { // a replica: read-only transaction
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
	if errors.Is(err, disclosure.ErrNotFound) || errors.Is(err, context.Canceled) {
		return err
	}
	// Neither pgx nor net names all the ways a connection breaks; what is
	// left here came from the connection.
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
