package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Listen calls wake whenever somebody made something due for work, and once
// whenever it began to listen anew, since a word may have been missed. It
// returns when ctx ends; while the database is away it goes on trying each
// second. wake must not block.
func (db *DB) Listen(ctx context.Context, wake func()) {
	for ctx.Err() == nil {
		if conn := db.ear(ctx); conn != nil {
			wake()
			for ctx.Err() == nil {
				if _, err := conn.Conn().WaitForNotification(ctx); err != nil {
					break
				}
				wake()
			}
			// It still listens, and may be broken: not to be given back.
			raw := conn.Hijack()
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = raw.Close(closing)
			cancel()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// ear takes one connection for listening; nil while there is none to be had.
func (db *DB) ear(ctx context.Context) *pgxpool.Conn {
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := db.pool.Acquire(short)
	if err != nil {
		return nil
	}
	if _, err := conn.Exec(short, `LISTEN `+ChannelWork); err != nil {
		conn.Release()
		return nil
	}
	return conn
}
