package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"postern/migrations"
)

// ErrSchema: the schema is older or newer than this program; the message names
// the command that mends it.
var ErrSchema = errors.New("the database's schema does not fit this program")

// Migrate brings the schema up to what this program knows. ownerURL logs in as
// postern_owner. It says how many steps it took.
func Migrate(ctx context.Context, ownerURL string) (int, error) {
	conf, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return 0, redact(err)
	}
	conn := stdlib.OpenDB(*conf)
	defer conn.Close()
	p, err := provider(conn)
	if err != nil {
		return 0, err
	}
	// One migrator at a time; the lock goes with the session.
	lock, err := conn.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("connect as the owner: %w", err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_lock(7268365)`); err != nil {
		return 0, fmt.Errorf("wait for another migration: %w", err)
	}
	steps, err := p.Up(ctx)
	if err != nil {
		return len(steps), fmt.Errorf("migrate: %w", err)
	}
	return len(steps), nil
}

func provider(conn *sql.DB) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

// KnownSchema is the newest step this program brings.
func KnownSchema() int64 {
	p, err := goose.NewProvider(goose.DialectPostgres, new(sql.DB), migrations.FS)
	if err != nil {
		return 0
	}
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// SchemaVersion is the newest step the database has taken; 0: none.
func SchemaVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var v int64
	err := pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // undefined table: nothing was ever migrated
		return 0, nil
	}
	return v, unavailable(err)
}

func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	have, err := SchemaVersion(ctx, pool)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	switch want := KnownSchema(); {
	case have < want:
		return fmt.Errorf("%w: it is at step %d, this program needs %d; run: postern migrate", ErrSchema, have, want)
	case have > want:
		return fmt.Errorf("%w: it is at step %d, this program knows %d; start a newer postern", ErrSchema, have, want)
	}
	return nil
}
