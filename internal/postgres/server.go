package postgres

import (
	"context"
	"fmt"
	"time"
)

// Server is what doctor asks of the database server.
type Server struct {
	Version string
	Time    time.Time // the server's own, at about the time of asking
	Bytes   int64     // what the database takes on disk
}

// Server asks. Its time is for comparing with ours alone.
func (db *DB) Server(ctx context.Context) (s Server, err error) {
	err = db.pool.QueryRow(ctx, `SELECT current_setting('server_version'), clock_timestamp(), pg_database_size(current_database())`).
		Scan(&s.Version, &s.Time, &s.Bytes)
	if err != nil {
		return s, fmt.Errorf("ask the database server: %w", unavailable(err))
	}
	return s, nil
}
