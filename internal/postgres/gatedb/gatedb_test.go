package gatedb_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/gatedb"
)

func open(t *testing.T, url string) *gatedb.DB {
	t.Helper()
	db, err := gatedb.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

func chunks(n, size int, fail error) iter.Seq2[gatedb.Chunk, error] {
	return func(yield func(gatedb.Chunk, error) bool) {
		for i := range n {
			if !yield(gatedb.Chunk{N: i, Final: i == n-1 && fail == nil, Sealed: make([]byte, size)}, nil) {
				return
			}
		}
		if fail != nil {
			yield(gatedb.Chunk{}, fail)
		}
	}
}

func arrival(id disclosure.ArrivalID, at time.Time) gatedb.Arrival {
	return gatedb.Arrival{ID: id, Kind: disclosure.ArrivalReport, Channel: disclosure.ByAPI, Received: at, VaultKey: "k",
		Encapsulation: []byte("e"), Header: []byte("h")}
}

func TestInsertArrival(t *testing.T) {
	owner, url := databases(t)
	db := open(t, url)
	at := time.Date(2026, 7, 1, 12, 0, 0, 123456000, time.UTC)
	for _, x := range []struct {
		id   disclosure.ArrivalID
		n    int
		size int
	}{{"small", 1, 4096}, {"large", 12, 1 << 20}} {
		got, again, err := db.InsertArrival(t.Context(), arrival(x.id, at), chunks(x.n, x.size, nil))
		if err != nil || again || !got.Equal(at) {
			t.Fatalf("InsertArrival(%s) = %v, %v, %v; want %v, new", x.id, got, again, err, at)
		}
		got, again, err = db.InsertArrival(t.Context(), arrival(x.id, at.Add(time.Hour)), chunks(x.n, x.size, nil))
		if err != nil || !again || !got.Equal(at) {
			t.Errorf("InsertArrival(%s) again = %v, %v, %v; want the first one's time %v", x.id, got, again, err, at)
		}
		var n, finals int
		err = owner.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE final) FROM arrival_chunk WHERE arrival = $1`, x.id).Scan(&n, &finals)
		if err != nil || n != x.n || finals != 1 {
			t.Errorf("chunks of %s = %d, last ones %d, %v; want %d and 1", x.id, n, finals, err, x.n)
		}
	}
	wrong := errors.New("the sender went away")
	for _, n := range []int{1, 10} {
		_, _, err := db.InsertArrival(t.Context(), arrival("broken", at), chunks(n, 1<<20, wrong))
		if !errors.Is(err, wrong) || errors.Is(err, gatedb.ErrUnavailable) {
			t.Errorf("InsertArrival of %d chunks that break off = %v; want %v", n, err, wrong)
		}
	}
	var n int
	if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM arrival WHERE id = 'broken'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("arrivals stored of one that broke off = %d, %v; want 0", n, err)
	}
	// The same request at the same moment, eight times.
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, _, err := db.InsertArrival(t.Context(), arrival("race", at), chunks(2, 100, nil))
			if err != nil || !got.Equal(at) {
				t.Errorf("InsertArrival at once = %v, %v; want %v", got, err, at)
			}
		})
	}
	group.Wait()
}

func TestUnavailable(t *testing.T) {
	_, url := databases(t)
	db := open(t, url)
	if err := db.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v", err)
	}
	gone := open(t, "postgres://postern_gate@/nothing?host=/nonexistent")
	_, _, err := gone.InsertArrival(t.Context(), arrival("x", time.Now()), chunks(1, 10, nil))
	if !errors.Is(err, gatedb.ErrUnavailable) {
		t.Errorf("InsertArrival without a server = %v; want ErrUnavailable", err)
	}
	if _, err := gone.MailboxRead(t.Context(), "x", ""); !errors.Is(err, gatedb.ErrUnavailable) {
		t.Errorf("MailboxRead without a server = %v; want ErrUnavailable", err)
	}
}

func TestEditions(t *testing.T) {
	owner, url := databases(t)
	db := open(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan int64)
	ended := make(chan struct{})
	go func() {
		db.Listen(ctx, func(ctx context.Context, number int64) error {
			select {
			case seen <- number:
			case <-ctx.Done():
			}
			return nil
		})
		close(ended)
	}()
	if n := <-seen; n != 1 {
		t.Errorf("first edition heard of = %d; want 1", n)
	}
	exec(t, owner, `INSERT INTO document (path, type, bytes, digest, etag, modified, signed, rendered_by, edition)
		VALUES ('/', 'text/html', 'hello', '', '"e"', '2026-01-01', false, '1', 2)`)
	exec(t, owner, `UPDATE edition SET number = 2`)
	exec(t, owner, `NOTIFY postern_edition`)
	if n := <-seen; n != 2 {
		t.Errorf("next edition heard of = %d; want 2", n)
	}
	exec(t, owner, `UPDATE edition SET number = 3`) // and no word of it
	if n := <-seen; n != 3 {
		t.Errorf("edition found by looking = %d; want 3", n)
	}
	cancel()
	<-ended
	e, err := db.Documents(t.Context())
	if err != nil || e.Number != 3 || len(e.Documents) != 1 || string(e.Documents["/"].Bytes) != "hello" {
		t.Errorf("Documents = %+v, %v; want edition 3 with /", e, err)
	}
	if _, err := db.Document(t.Context(), "/nothing"); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("Document of nothing = %v; want ErrNotFound", err)
	}
	if v, err := db.SchemaVersion(t.Context()); err != nil || v < 1 {
		t.Errorf("SchemaVersion = %d, %v; want at least 1", v, err)
	}
	if keys, err := db.PublicKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("PublicKeys = %v, %v; want none", keys, err)
	}
	exec(t, owner, `DELETE FROM edition`)
	if _, err := db.Documents(t.Context()); !errors.Is(err, disclosure.ErrNotFound) || errors.Is(err, gatedb.ErrUnavailable) {
		t.Errorf("Documents without an instance = %v; want ErrNotFound", err)
	}
}
