package postgres

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// What goes with a reporter from one case into another: the lane, its files,
// and the arrivals as they came. All of it is sealed anew under the key of the
// case it comes to lie in, so that whoever may see that case reads it there,
// and nobody reads it by way of the case it left.

// moveLanes seals the lanes of reporters anew, under the key of the case they go
// to, and gives them the arrivals they came with. Both cases were loaded in this
// transaction.
func (t *tx) moveLanes(ctx context.Context, reporters []disclosure.ReporterID, from, to *disclosure.Case) error {
	rows, err := t.Query(ctx, `SELECT `+messageColumns+` FROM message m
		WHERE m.lane = 'reporter' AND m.lane_id = ANY($1) ORDER BY m.id FOR UPDATE OF m`, reporters)
	if err != nil {
		return fmt.Errorf("read the lanes: %w", err)
	}
	list, err := pgx.CollectRows(rows, t.scanMessage)
	if err != nil {
		return fmt.Errorf("read the lanes: %w", err)
	}
	moved, err := t.moveFiles(ctx, list, from, to)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	arrivals := []disclosure.ArrivalID{}
	for _, m := range list {
		m.Case = to.ID
		for i, id := range m.Files {
			if other, ok := moved[id]; ok {
				m.Files[i] = other
			}
		}
		sealed, err := t.sealMessage(m)
		if err != nil {
			return err
		}
		batch.Queue(`UPDATE message SET case_id = $2, sealed = $3 WHERE id = $1`, m.ID, to.ID, sealed)
		if m.Arrival != "" {
			arrivals = append(arrivals, m.Arrival)
		}
	}
	batch.Queue(`UPDATE reply_token SET case_id = $2 WHERE lane IN ('reporter', 'invite') AND lane_id = ANY($1)`, reporters, to.ID)
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("move the lanes: %w", err)
	}
	return t.moveArrivals(ctx, arrivals, from.ID, to.ID)
}

// moveFiles makes the files of messages files of the case they go to, and says
// which became which. What something that stays refers to as well stays, too.
func (t *tx) moveFiles(ctx context.Context, list []storedMessage, from, to *disclosure.Case) (map[disclosure.FileID]disclosure.FileID, error) {
	going := map[disclosure.FileID]bool{}
	ids := make([]string, 0, len(list))
	for _, m := range list {
		ids = append(ids, string(m.ID))
		for _, id := range m.Files {
			going[id] = true
		}
	}
	stay, err := t.messages(ctx, `m.case_id = $1 AND m.id <> ALL($2)`, from.ID, ids)
	if err != nil {
		return nil, err
	}
	kept := map[disclosure.FileID]bool{}
	for _, m := range stay {
		for _, id := range m.Files {
			kept[id] = true
		}
	}
	moved := map[disclosure.FileID]disclosure.FileID{}
	for _, f := range slices.Clone(from.Files) {
		if !going[f.ID] {
			continue
		}
		copied, err := t.copyFile(ctx, f, from.ID, to.ID)
		if err != nil {
			return nil, err
		}
		moved[f.ID] = copied.ID
		to.Files = append(to.Files, copied)
		if kept[f.ID] {
			continue
		}
		if _, err := t.Exec(ctx, `DELETE FROM file WHERE id = $1`, f.ID); err != nil {
			return nil, fmt.Errorf("move file %s: %w", f.ID, err)
		}
		from.Files = slices.DeleteFunc(from.Files, func(x disclosure.File) bool { return x.ID == f.ID })
	}
	return moved, nil
}

// copyFile seals a file's bytes anew, a piece at a time.
func (t *tx) copyFile(ctx context.Context, f disclosure.File, from, to disclosure.CaseID) (disclosure.File, error) {
	var arrival disclosure.ArrivalID
	if err := t.QueryRow(ctx, `SELECT coalesce(arrival, '') FROM file WHERE id = $1`, f.ID).Scan(&arrival); err != nil {
		return f, fmt.Errorf("move file %s: %w", f.ID, notFound(err))
	}
	return t.storeFileAs(ctx, owner{Case: to}, f, arrival, func(w io.Writer) error { return t.readFile(ctx, string(from), f.ID, w) })
}

// moveArrivals wraps the keys of arrivals anew, so that their originals are
// read in the case their messages lie in.
func (t *tx) moveArrivals(ctx context.Context, ids []disclosure.ArrivalID, from, to disclosure.CaseID) error {
	rows, err := t.Query(ctx, `SELECT id, wrapped_key FROM arrival WHERE id = ANY($1) AND case_id = $2 AND wrapped_key IS NOT NULL FOR UPDATE`, ids, from)
	if err != nil {
		return fmt.Errorf("read the arrivals: %w", err)
	}
	type wrapped struct {
		ID  disclosure.ArrivalID
		Key []byte
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[wrapped])
	if err != nil {
		return fmt.Errorf("read the arrivals: %w", err)
	}
	batch := &pgx.Batch{}
	for _, a := range list {
		key, err := t.keys[string(from)].Unwrap(t.db.aad("arrival", "wrapped_key", string(a.ID), string(from), 1), a.Key)
		if err != nil {
			return fmt.Errorf("unwrap the key of arrival %s: %w", a.ID, err)
		}
		batch.Queue(`UPDATE arrival SET case_id = $2, wrapped_key = $3 WHERE id = $1`, a.ID, to,
			t.keys[string(to)].Wrap(t.db.aad("arrival", "wrapped_key", string(a.ID), string(to), 1), key))
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("move the arrivals: %w", err)
	}
	return nil
}
