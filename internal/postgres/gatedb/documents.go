package gatedb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/disclosure"
)

// Document is a finished public file as it is served.
type Document struct {
	Path     string
	Type     string
	Bytes    []byte
	Gzip     []byte // nil: not worth it
	ETag     string // with its quotes
	Modified time.Time
}

// Edition is the set of documents public at one commit. It is never changed
// once loaded: a gate swaps the whole.
type Edition struct {
	Number    int64
	Instance  string // bound into everything the gate seals
	Changed   time.Time
	Documents map[string]*Document // by path
}

// Edition is the number of the newest one, and the instance's id; ErrNotFound
// of package disclosure in a database nobody has set up.
func (db *DB) Edition(ctx context.Context) (number int64, instance string, err error) {
	err = db.pool.QueryRow(ctx, `SELECT number, instance FROM edition`).Scan(&number, &instance)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", fmt.Errorf("no instance was set up: %w", disclosure.ErrNotFound)
	}
	if err != nil {
		return 0, "", fmt.Errorf("read the edition: %w", unavailable(err))
	}
	return number, instance, nil
}

// Documents loads the newest edition whole, from one snapshot.
func (db *DB) Documents(ctx context.Context) (*Edition, error) {
	e := &Edition{Documents: make(map[string]*Document)}
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, db.pool, opts, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT number, instance, changed FROM edition`).Scan(&e.Number, &e.Instance, &e.Changed)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("no instance was set up: %w", disclosure.ErrNotFound)
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT path, type, bytes, gzip, etag, modified FROM document`)
		if err != nil {
			return err
		}
		docs, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[Document])
		for _, d := range docs {
			e.Documents[d.Path] = d
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the documents: %w", unavailable(err))
	}
	return e, nil
}

// Document reads one by its path ("gate.json"); disclosure.ErrNotFound when
// there is none.
func (db *DB) Document(ctx context.Context, path string) (*Document, error) {
	var d Document
	err := db.pool.QueryRow(ctx, `SELECT path, type, bytes, gzip, etag, modified FROM document WHERE path = $1`, path).
		Scan(&d.Path, &d.Type, &d.Bytes, &d.Gzip, &d.ETag, &d.Modified)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("document %s: %w", path, disclosure.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read document %s: %w", path, unavailable(err))
	}
	return &d, nil
}

// Poll is how often the edition is asked for when no word of it comes.
const Poll = time.Second

// Listen calls changed with every new edition's number, the one there is at
// first included, until ctx ends. It asks each second and is woken sooner by
// the database's word; while the database is away it goes on asking. changed
// runs in the calling goroutine; when it fails, it is called again at the next
// look.
func (db *DB) Listen(ctx context.Context, changed func(ctx context.Context, number int64) error) {
	seen := int64(-1)
	var ear *pgxpool.Conn
	defer func() { drop(ear) }()
	for ctx.Err() == nil {
		if number, _, err := db.Edition(ctx); err == nil && number != seen && changed(ctx, number) == nil {
			seen = number
		}
		if ear == nil {
			ear = db.ear(ctx)
		}
		wait, cancel := context.WithTimeout(ctx, Poll)
		if ear == nil {
			<-wait.Done()
		} else if _, err := ear.Conn().WaitForNotification(wait); err != nil && wait.Err() == nil {
			drop(ear)
			ear = nil
			<-wait.Done()
		}
		cancel()
	}
}

// ear takes one connection for listening; nil while there is none to be had.
func (db *DB) ear(ctx context.Context) *pgxpool.Conn {
	ctx, cancel := context.WithTimeout(ctx, Poll)
	defer cancel()
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil
	}
	if _, err := conn.Exec(ctx, `LISTEN postern_edition`); err != nil {
		drop(conn)
		return nil
	}
	return conn
}

// drop closes a connection rather than give it back: it still listens.
func drop(conn *pgxpool.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), Poll)
	defer cancel()
	_ = conn.Conn().Close(ctx)
	conn.Release()
}
