package desk

import (
	"context"
	"sync"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/search"
	"postern/internal/vault"
)

// likely finds cases that may be the same as another. What everybody may see
// stands in one index; restricted cases are looked through for each caller
// anew, and only those this caller may see. Nothing of it outlives an unlocked
// vault.
type likely struct {
	mu    sync.Mutex
	index *search.Index
	known map[disclosure.CaseID]postgres.OpenCase // in the index, as it was then
	watch <-chan struct{}
}

const (
	likelyShown = 3
	// leastLikely is how much of a text has to be in another one to be shown.
	leastLikely = 0.2
	// textsAtOnce is how many cases are opened in one transaction.
	textsAtOnce = 200
)

// similar finds open cases like c, the likeliest first.
func (d *Desk) similar(ctx context.Context, by disclosure.Caller, c *disclosure.Case) ([]search.Hit, map[int64]string, error) {
	own, err := d.c.DB.CaseTexts(ctx, by, []disclosure.CaseID{c.ID})
	if err != nil || len(own) == 0 {
		return nil, nil, err
	}
	open, err := d.c.DB.OpenCases(ctx, by)
	if err != nil {
		return nil, nil, err
	}
	var restricted []disclosure.CaseID
	visible := map[int64]bool{}
	for _, o := range open {
		visible[int64(o.Number)] = true
		if o.Restricted && o.ID != c.ID {
			restricted = append(restricted, o.ID)
		}
	}
	query := own[0].Title + "\n" + own[0].Text
	shared, err := d.likely.find(ctx, d.c.DB, query)
	if err != nil {
		return nil, nil, err
	}
	private := search.New()
	for at := 0; at < len(restricted); at += textsAtOnce {
		texts, err := d.c.DB.CaseTexts(ctx, by, restricted[at:min(at+textsAtOnce, len(restricted))])
		if err != nil {
			return nil, nil, err
		}
		add(private, texts)
	}
	var hits []search.Hit
	for _, h := range search.Merge(likelyShown*3, shared, private.Similar(query, likelyShown+1)) {
		if visible[h.ID] && h.ID != int64(c.Number) && h.Score >= leastLikely && len(hits) < likelyShown {
			hits = append(hits, h)
		}
	}
	titles, err := d.titles(ctx, by, open, hits)
	return hits, titles, err
}

// titles are those of the hits, as they are now and for this caller.
func (d *Desk) titles(ctx context.Context, by disclosure.Caller, open []postgres.OpenCase, hits []search.Hit) (map[int64]string, error) {
	var ids []disclosure.CaseID
	for _, o := range open {
		for _, h := range hits {
			if int64(o.Number) == h.ID {
				ids = append(ids, o.ID)
			}
		}
	}
	texts, err := d.c.DB.CaseTexts(ctx, by, ids)
	titles := map[int64]string{}
	for _, t := range texts {
		titles[int64(t.Number)] = t.Title
	}
	return titles, err
}

func add(x *search.Index, texts []postgres.CaseText) {
	docs := make([]search.Document, len(texts))
	for i, t := range texts {
		docs[i] = search.Document{ID: int64(t.Number), Title: t.Title, Text: t.Text}
	}
	x.Add(docs...)
}

// find brings the shared index up to date, and asks it.
func (l *likely) find(ctx context.Context, db *postgres.DB, query string) ([]search.Hit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := db.Vault()
	if v == nil || !v.Unlocked() {
		return nil, vault.ErrLocked
	}
	if l.index == nil {
		l.index, l.known = search.New(), map[disclosure.CaseID]postgres.OpenCase{}
	}
	if l.watch == nil {
		l.watch = v.Watch()
		go l.forget(l.watch)
	}
	reader := disclosure.System("search")
	open, err := db.OpenCases(ctx, reader)
	if err != nil {
		return nil, err
	}
	now := map[disclosure.CaseID]postgres.OpenCase{}
	var changed []disclosure.CaseID
	for _, o := range open {
		if o.Restricted {
			continue
		}
		now[o.ID] = o
		if l.known[o.ID] != o {
			changed = append(changed, o.ID)
		}
	}
	for id, o := range l.known {
		if now[id] != o {
			l.index.Remove(int64(o.Number))
			delete(l.known, id)
		}
	}
	for at := 0; at < len(changed); at += textsAtOnce {
		some := changed[at:min(at+textsAtOnce, len(changed))]
		texts, err := db.CaseTexts(ctx, reader, some)
		if err != nil {
			return nil, err
		}
		add(l.index, texts)
		for _, id := range some {
			l.known[id] = now[id]
		}
	}
	return l.index.Similar(query, likelyShown*2), nil
}

// forget empties the index once the vault changes: most often it was locked.
func (l *likely) forget(changed <-chan struct{}) {
	<-changed
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index != nil {
		l.index.Clear()
	}
	l.index, l.known, l.watch = nil, nil, nil
}
